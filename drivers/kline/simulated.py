"""A K-line on a simulated wire, with the ways a real adapter fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from drivers.kline.echoed import EchoedLine
from drivers.kline.interface import (
    ADDRESS_BIT_S,
    WAKE_LOW_S,
    WAKE_WHOLE_S,
    LineGoneError,
    RateError,
    Span,
    WakePulse,
    WakeTimingError,
)


class Node(Protocol):
    """The box's end of the wire."""

    rate_bps: int
    on_byte: Callable[[int], None]
    """Called at the end of each byte on the wire, one's own among them."""

    def send(self, data: bytes) -> None:
        """Bytes behind each other without a pause, after those that are under way."""

    def hold(self, low: bool) -> None:
        """Hold the wire low, or let go of it."""

    def leave(self) -> None:
        """Let go of the wire for ever, with all that was still to be sent."""


class SimulatedKLine(EchoedLine):
    """`stray_s` makes the pulses of a wake-up so much longer than they should be; `gone` obeys nothing."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.rate_bps)
        self.stray_s = 0.0
        self.fastest_bps = 1_000_000
        self._node = node
        node.on_byte = lambda value: self._feed(bytes((value,)))

    def set_rate(self, bits_per_s: int) -> None:
        """Raises KLineError."""
        self._require()
        if bits_per_s > self.fastest_bps:
            raise RateError(f"the simulated adapter does not do {bits_per_s} bit/s")
        self._rate_bps = self._node.rate_bps = bits_per_s

    async def wake(self, address: int) -> None:
        """Each bit for 200 ms. Raises KLineError."""
        self._require()
        try:
            for bit in (0, *(address >> number & 1 for number in range(8)), 1):
                self._node.hold(not bit)
                await asyncio.sleep(ADDRESS_BIT_S + self.stray_s)
        finally:
            self._node.hold(False)
        self.discard()

    async def wake_fast(self, request: bytes, gap_s: float) -> WakePulse:
        """As a real one, it tells a pulse that was off. Raises KLineError."""
        self._require()
        low_s = WAKE_LOW_S + self.stray_s
        self._node.hold(True)
        try:
            await asyncio.sleep(low_s)
        finally:
            self._node.hold(False)
        await asyncio.sleep(WAKE_WHOLE_S - WAKE_LOW_S)
        whole_s = low_s + WAKE_WHOLE_S - WAKE_LOW_S
        pulse = WakePulse(Span(low_s, low_s), Span(whole_s, whole_s))
        if not pulse.is_good:
            raise WakeTimingError(f"the simulated pulse was {low_s * 1000:.2f} ms low")
        self.discard()
        await self.send(request, gap_s)
        return pulse

    def lose(self, why: str) -> None:
        """The adapter is unplugged."""
        self._lose(LineGoneError(why))
        self._node.leave()

    def close(self) -> None:
        """Let go of the line."""
        self.lose("the K-line was closed")

    def _write(self, data: bytes) -> None:
        self._node.send(data)

    def _look(self) -> None:
        """Every byte is told at its end."""
