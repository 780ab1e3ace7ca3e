"""Counts what a transfer moved and how long it took, on the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.protocols.access import WireMeter
from appliance.protocols.isotp.ceiling import Wire, ceiling_bytes_per_s, estimated_seconds

_CLASSIC_PDU_BYTES = 4095
_SAMPLE_EVERY = 13
"""Of so many PDUs one is measured. Not a power of two, lest the samples all fall on the same place of each
sector.
"""
_SAMPLED_FRAMES = 6
"""Of each measured PDU so many frames are measured bit by bit: stuff bits depend on content. All of them took
half of the engine's time where the kernel moves the payloads.
"""


class TransferMeter:
    """Bytes moved, seconds spent on them, and how fast the wire could have carried just those."""

    def __init__(self, wire: Wire) -> None:
        self._outward = wire
        self._inward = wire.mirrored()
        self._payload_bytes = 0
        self._sent_bytes = self._sent_memory_bytes = 0
        self._busy_s = 0.0
        self._pdus = 0
        self._sampled_bytes = 0
        self._sampled_s = 0.0

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Time spent inside counts as busy."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            yield
        finally:
            self._busy_s += loop.time() - began_s

    def sent(self, header: bytes, data: bytes, memory_bytes: int | None = None) -> None:
        """A PDU was acknowledged: its payload stands for so many bytes of memory, by default its own."""
        self._moved(header, data, self._outward)
        self._sent_bytes += len(data)
        self._sent_memory_bytes += len(data) if memory_bytes is None else memory_bytes

    def received(self, header: bytes, data: bytes) -> None:
        """A PDU of this header and these memory bytes arrived."""
        self._moved(header, data, self._inward)

    def reading(self, repeats: int) -> WireMeter:
        """The figures so far; before anything was moved, the ceiling is that of the largest classic PDU."""
        if self._sampled_bytes:
            ceiling = self._sampled_bytes / self._sampled_s
        else:
            ceiling = ceiling_bytes_per_s(_CLASSIC_PDU_BYTES, self._outward)
        return WireMeter(
            self._payload_bytes,
            self._busy_s,
            ceiling,
            self._outward.bitrate_bps,
            repeats,
            self._sent_bytes,
            self._sent_memory_bytes,
        )

    def _moved(self, header: bytes, data: bytes, wire: Wire) -> None:
        self._payload_bytes += len(data)
        if self._pdus % _SAMPLE_EVERY == 0:
            self._sampled_bytes += len(data)
            self._sampled_s += estimated_seconds(header + data, wire, _SAMPLED_FRAMES)
        self._pdus += 1
