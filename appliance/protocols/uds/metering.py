"""Counts what UDS moved over ISO-TP, and how fast the bus could have carried it."""

from __future__ import annotations

from dataclasses import replace

from appliance.protocols.access import WireMeter
from appliance.protocols.isotp.ceiling import Wire, ceiling_bytes_per_s, estimated_seconds
from appliance.protocols.metering import Meter

_CLASSIC_PDU_BYTES = 4095
_SAMPLE_EVERY = 13
"""Of so many PDUs one is measured. Not a power of two, lest the samples all fall on the same place of each
sector.
"""
_SAMPLED_FRAMES = 6
"""Of each measured PDU so many frames are measured bit by bit: stuff bits depend on content. All of them took
half of the engine's time where the kernel moves the payloads.
"""


class TransferMeter(Meter):
    """Knows besides how fast a CAN bus could have carried just those bytes."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._outward = wire
        self._inward = wire.mirrored()
        self._pdus = 0
        self._sampled_bytes = 0
        self._sampled_s = 0.0

    def sent(self, header: bytes, data: bytes, memory_bytes: int | None = None) -> None:
        """A PDU was acknowledged: its payload stands for so many bytes of memory, by default its own."""
        self._sampled(header, data, self._outward)
        self._count_sent(len(data), len(data) if memory_bytes is None else memory_bytes)

    def received(self, header: bytes, data: bytes) -> None:
        """A PDU of this header and these memory bytes arrived."""
        self._sampled(header, data, self._inward)
        self._count_received(len(data))

    def at_rate(self, bitrate_bps: int) -> None:
        """What comes from now on is moved at this bit rate."""
        self._outward = replace(self._outward, bitrate_bps=bitrate_bps)
        self._inward = self._outward.mirrored()

    def reading(self, repeats: int) -> WireMeter:
        """The figures so far; before anything was moved, the ceiling is that of the largest classic PDU."""
        if self._sampled_bytes:
            ceiling = self._sampled_bytes / self._sampled_s
        else:
            ceiling = ceiling_bytes_per_s(_CLASSIC_PDU_BYTES, self._outward)
        return self._figures(ceiling, self._outward.bitrate_bps, repeats)

    def _sampled(self, header: bytes, data: bytes, wire: Wire) -> None:
        if self._pdus % _SAMPLE_EVERY == 0:
            self._sampled_bytes += len(data)
            self._sampled_s += estimated_seconds(header + data, wire, _SAMPLED_FRAMES)
        self._pdus += 1
