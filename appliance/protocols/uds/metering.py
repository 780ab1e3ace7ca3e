"""Counts what a transfer moved and how long it took, on the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.protocols.access import WireMeter
from appliance.protocols.isotp.ceiling import Wire, ceiling_bytes_per_s

_CLASSIC_PDU_BYTES = 4095


class TransferMeter:
    """Memory bytes moved, seconds spent, and the largest PDU they were moved in."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._payload_bytes = 0
        self._busy_s = 0.0
        self._pdu_bytes = 0

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Time spent inside counts as busy."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            yield
        finally:
            self._busy_s += loop.time() - began_s

    def moved(self, data_bytes: int, header_bytes: int) -> None:
        """A PDU with so many memory bytes behind its header arrived."""
        self._payload_bytes += data_bytes
        self._pdu_bytes = max(self._pdu_bytes, data_bytes + header_bytes)

    def reading(self, repeats: int) -> WireMeter:
        """The figures so far; the ceiling is that of the PDUs used, or of the largest classic one."""
        pdu_bytes = self._pdu_bytes or _CLASSIC_PDU_BYTES
        ceiling = ceiling_bytes_per_s(pdu_bytes, self._wire)
        return WireMeter(self._payload_bytes, self._busy_s, ceiling, self._wire.bitrate_bps, repeats)
