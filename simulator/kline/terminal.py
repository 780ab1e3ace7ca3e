"""A pseudo-terminal at a simulated K-line, for testers in other processes.

A pseudo-terminal carries no break. A UART can hold a line low by slow bytes too, and those it carries: a byte
at 5 bit/s is an address, a zero at 360 bit/s the 25 ms of fast initialisation.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import tty
from contextlib import suppress

from simulator.kline.wire import KWire

_TCGETS2, _TERMIOS2 = 0x802C542A, "4IB19B2I"
_SLOWEST_BPS = 1_200
"""Below it no ECU speaks: whoever sends so means the levels."""
_READ_BYTES = 4096


class KLineTerminal:
    """`device` is what a tester opens; what is written there is on the wire, and comes back as its echo."""

    def __init__(self, wire: KWire, name: str = "terminal") -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        self._node = wire.attach(name)
        self._node.on_byte = self._heard
        self._node.listens_at = lambda: self.rate_bps
        self._holding = False
        self._written: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._readable)
        self._carrying = self._loop.create_task(self._carry())

    @property
    def rate_bps(self) -> int:
        """What the tester set the terminal to, down to the bit."""
        raw = fcntl.ioctl(self._master, _TCGETS2, bytes(struct.calcsize(_TERMIOS2)))
        return int(struct.unpack(_TERMIOS2, raw)[-1])

    def close(self) -> None:
        """Unplug it."""
        self._carrying.cancel()
        self._loop.remove_reader(self._master)
        os.close(self._slave)
        os.close(self._master)

    def _readable(self) -> None:
        rate_bps = self.rate_bps
        for value in os.read(self._master, _READ_BYTES):
            self._written.put_nowait((value, rate_bps))

    async def _carry(self) -> None:
        while True:
            value, rate_bps = await self._written.get()
            if rate_bps < _SLOWEST_BPS:
                await self._levels(value, rate_bps)
            else:
                self._node.rate_bps = rate_bps
                self._node.send(bytes((value,)))

    async def _levels(self, value: int, rate_bps: int) -> None:
        """Start bit, eight bits from the lowest on, stop bit."""
        began_s, self._holding = self._loop.time(), True
        for number, high in enumerate((0, *(value >> bit & 1 for bit in range(8)), 1)):
            self._node.hold(not high)
            await asyncio.sleep(began_s + (number + 1) / rate_bps - self._loop.time())
        self._holding = False
        self._tell(value)

    def _heard(self, value: int) -> None:
        """A tester that holds the line hears its own levels, as the byte that made them."""
        if not self._holding:
            self._tell(value)

    def _tell(self, value: int) -> None:
        """A tester that does not read misses what its buffer cannot hold, as behind any UART."""
        with suppress(BlockingIOError):
            os.write(self._master, bytes((value,)))
