"""A K-line behind a pseudo-terminal: the simulated one of another process.

A pseudo-terminal carries no break. What holds the line low travels as a slow byte instead: a byte at 5 bit/s
is an address, a zero at 360 bit/s the 25 ms of fast initialisation; the far end makes levels of them, and
echoes them when they are over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from drivers.kline.interface import (
    ADDRESS_BIT_S,
    WAKE_LOW_S,
    WAKE_WHOLE_S,
    Span,
    WakePulse,
    WakeTimingError,
)
from drivers.kline.serialline import SerialKLine

_ADDRESS_BPS = round(1 / ADDRESS_BIT_S)
_LOW_BITS = 9
"""Of a zero: its start bit and eight data bits."""
_PULSE_BPS = round(_LOW_BITS / WAKE_LOW_S)
_LATEST_S = 0.2
"""By which a request may follow its pulse too late: the far end shares this machine, and is patient."""


class TerminalKLine(SerialKLine):
    """Wakes by slow bytes; for the rest a UART like any other."""

    async def wake(self, address: int) -> None:
        """The address at 5 bit/s. Raises KLineError."""
        with self._slowed(_ADDRESS_BPS):
            await self.send(bytes((address,)))

    async def wake_fast(self, request: bytes, gap_s: float) -> WakePulse:
        """A zero of 25 ms, and the request 50 ms behind its beginning. Raises KLineError."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with self._slowed(_PULSE_BPS):
            await self.send(b"\x00")
        await asyncio.sleep(began_s + WAKE_WHOLE_S - loop.time())
        whole_s = loop.time() - began_s
        if whole_s > WAKE_WHOLE_S + _LATEST_S:
            raise WakeTimingError(
                f"the wake-up request of the K-line came {whole_s * 1000:.0f} ms behind its pulse"
            )
        await self.send(request, gap_s)
        return WakePulse(Span(WAKE_LOW_S, WAKE_LOW_S), Span(whole_s, whole_s))

    @contextmanager
    def _slowed(self, rate_bps: int) -> Iterator[None]:
        """What is sent meanwhile goes out so slowly. Raises KLineError."""
        before_bps = self.rate_bps
        self.set_rate(rate_bps)
        try:
            yield
        finally:
            self.set_rate(before_bps)
