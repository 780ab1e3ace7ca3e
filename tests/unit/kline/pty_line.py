"""The far end of a real K-line driver: a pseudo-terminal that echoes as the wire does."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import tty
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from drivers.kline.serialline import SerialKLine
from simulator.virtualtime import ScaledLoop

PACE = 0.2
_TCGETS2, _TERMIOS2 = 0x802C542A, "4IB19B2I"


class FarEnd:
    """Everything behind the driver: `echo` says what of a byte comes back."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.device = os.ttyname(slave)
        self._slave = slave
        os.set_blocking(self.master, False)
        self.heard = bytearray()
        self.echo: Callable[[bytes], bytes] = lambda data: data
        self.answer: Callable[[bytes], bytes] = lambda data: b""
        """Called with all that was heard so far."""
        asyncio.get_running_loop().add_reader(self.master, self._readable)

    @property
    def rate_bps(self) -> int:
        """What the driver set the line to, down to the bit."""
        raw = fcntl.ioctl(self.master, _TCGETS2, bytes(struct.calcsize(_TERMIOS2)))
        return int(struct.unpack(_TERMIOS2, raw)[-1])

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def unplug(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self._slave)
        os.close(self.master)
        self.master = -1

    def close(self) -> None:
        if self.master >= 0:
            self.unplug()

    def _readable(self) -> None:
        for value in os.read(self.master, 4096):
            self.heard.append(value)
            self.send(self.echo(bytes((value,))) + self.answer(bytes(self.heard)))


def on_a_patient_loop(work: Coroutine[Any, Any, None]) -> None:
    """A slow clock: the kernel carries a terminal's bytes when it finds the time."""
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(PACE)) as runner:
        runner.run(work)


@contextmanager
def line_over_a_pty(rate_bps: int = 10_400) -> Iterator[tuple[SerialKLine, FarEnd]]:
    far = FarEnd()
    line = SerialKLine(far.device, rate_bps)
    try:
        yield line, far
    finally:
        line.close()
        far.close()
