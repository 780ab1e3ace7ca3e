"""Counts what was moved over a wire and how long it took, on the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.protocols.access import WireMeter


class Meter:
    """Bytes moved and seconds spent on them; how fast the wire could have carried them is the protocol's."""

    def __init__(self) -> None:
        self._payload_bytes = 0
        self._sent_bytes = self._sent_memory_bytes = 0
        self._busy_s = 0.0

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Time spent inside counts as busy."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            yield
        finally:
            self._busy_s += loop.time() - began_s

    def _count_sent(self, size: int, memory_bytes: int) -> None:
        self._payload_bytes += size
        self._sent_bytes += size
        self._sent_memory_bytes += memory_bytes

    def _count_received(self, size: int) -> None:
        self._payload_bytes += size

    def _figures(self, ceiling_bytes_per_s: float, rate_bps: int, repeats: int) -> WireMeter:
        return WireMeter(
            self._payload_bytes,
            self._busy_s,
            ceiling_bytes_per_s,
            rate_bps,
            repeats,
            self._sent_bytes,
            self._sent_memory_bytes,
        )
