"""What a K-line can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

BITS_PER_BYTE = 10
"""Start bit, eight data bits, stop bit; there is no parity once the line is awake."""
ADDRESS_BIT_S = 0.2
"""A bit of the wake-up address, at 5 bit/s (ISO 14230-2, 5.2.4.1)."""
WAKE_LOW_S, WAKE_WHOLE_S = 0.025, 0.05
"""TiniL and TWup of fast initialisation (ISO 14230-2, 5.2.4.2)."""
WAKE_TOLERANCE_S = 0.001
"""By which either may be off."""
RATE_TOLERANCE = 0.02
"""By which the rate that an adapter makes may be off, so that the stop bit is still sampled in its place."""


class KLineError(ConnectionError):
    """The line or its adapter did not do what was asked."""


class NoEchoError(KLineError):
    """What was sent did not come back: the line has no supply, or no wire."""


class WrongEchoError(KLineError):
    """Something else came back: two spoke at once, or the line is held low."""


class HeldLowError(WrongEchoError):
    """Nothing but zeroes came back: the line is shorted to ground."""


class LineGoneError(KLineError):
    """The adapter was unplugged, or let go of."""


class RateError(KLineError):
    """The adapter does not make this bit rate."""


class WakeTimingError(KLineError):
    """This box was kept from timing a wake-up: nothing of it counts, and it may be tried again."""


@dataclass(frozen=True, slots=True)
class Span:
    """A measured time, as short and as long as it can have been."""

    shortest_s: float
    longest_s: float

    def is_within(self, nominal_s: float, tolerance_s: float) -> bool:
        """Whether it surely was so long."""
        return nominal_s - tolerance_s <= self.shortest_s and self.longest_s <= nominal_s + tolerance_s


@dataclass(frozen=True, slots=True)
class WakePulse:
    """A pattern of fast initialisation as it was measured."""

    low: Span
    whole: Span
    """From the falling edge to the first bit of the request."""

    @property
    def is_good(self) -> bool:
        """Whether an ECU must take it."""
        return self.low.is_within(WAKE_LOW_S, WAKE_TOLERANCE_S) and self.whole.is_within(
            WAKE_WHOLE_S, WAKE_TOLERANCE_S
        )


class KLine(Protocol):
    """One wire, both ways: the echo of what is sent is checked and taken off by the driver."""

    @property
    def rate_bps(self) -> int:
        """Bits per second."""

    async def wake(self, address: int) -> None:
        """Send an address at 5 bit/s, all eight bits as given; what came in meanwhile is dropped.

        The stop bit is over when it returns. Raises KLineError.
        """

    async def wake_fast(self, request: bytes, gap_s: float) -> WakePulse:
        """Send the pattern of fast initialisation and, at its end, a request as `send` does.

        Raises WakeTimingError before more than the first byte is out, KLineError as `send` does.
        """

    async def send(self, data: bytes, gap_s: float = 0.0) -> None:
        """Send bytes with so much silence between two of them; each must come back as it was sent.

        With a gap no byte follows one whose echo is wrong. Raises KLineError.
        """

    async def receive(self, count: int, within_s: float) -> bytes:
        """At most `count` bytes; fewer where time ran out. Raises KLineError."""

    def discard(self) -> int:
        """Drop what came in and was not received; how many bytes that were."""

    def set_rate(self, bits_per_s: int) -> None:
        """Takes effect with the next byte. Raises RateError, with the rate as it was; KLineError."""

    def close(self) -> None:
        """Let go of the line."""
