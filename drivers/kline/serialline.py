"""A K-line behind a UART and a transceiver, through pyserial; any rate, by termios2 on Linux."""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import os
import select
import struct
from collections.abc import Callable
from typing import Any, TypeVar

from drivers.kline.echoed import EchoedLine
from drivers.kline.interface import RATE_TOLERANCE, KLineError, LineGoneError, RateError, WakePulse
from drivers.kline.pulses import Watch, address_bits, wake_pulse

T = TypeVar("T")

_MODULE = "serial"
_READ_BYTES = 4096
_TCGETS2, _TERMIOS2 = 0x802C542A, "4IB19B2I"
"""struct termios2 has rates as numbers (include/uapi/asm-generic/termbits.h); the last is the output's."""


class SerialKLine(EchoedLine):
    """One device, for this process alone. Made on the loop that it is used on."""

    def __init__(self, device: str, rate_bps: int = 10_400, watch: Watch | None = None) -> None:
        """Raises KLineError for a device that cannot be had."""
        super().__init__(rate_bps)
        self._name = device
        self._watch = watch or Watch()
        self._loop = asyncio.get_running_loop()
        self._port = _opened(device, rate_bps)
        self._loop.add_reader(self._port.fileno(), self._readable)

    def set_rate(self, bits_per_s: int) -> None:
        """Takes effect with the next byte: everything before has its echo. Raises KLineError."""
        self._require()
        before_bps = self._rate_bps
        try:
            self._port.baudrate = bits_per_s
            made_bps = self._made_rate()
        except (OSError, ValueError) as error:
            raise self._cannot(bits_per_s, str(error)) from error
        if abs(made_bps - bits_per_s) > RATE_TOLERANCE * bits_per_s:
            self._port.baudrate = before_bps
            raise self._cannot(bits_per_s, f"it makes {made_bps} of it")
        self._rate_bps = bits_per_s

    def _cannot(self, bits_per_s: int, why: str) -> RateError:
        return RateError(f"{self._name} does not do {bits_per_s} bit/s: {why}")

    def _made_rate(self) -> int:
        """What the kernel's driver made of the rate that was asked for. Raises OSError."""
        raw = fcntl.ioctl(self._port.fileno(), _TCGETS2, bytes(struct.calcsize(_TERMIOS2)))
        return int(struct.unpack(_TERMIOS2, raw)[-1])

    async def wake(self, address: int) -> None:
        """Hold the line for the zeroes of an address at 5 bit/s. Raises KLineError."""
        self._require()
        await self._undivided(lambda: address_bits(self, address, self._watch))
        self._forget()

    async def wake_fast(self, request: bytes, gap_s: float) -> WakePulse:
        """The first byte goes out in the same breath as the pulse. Raises KLineError."""
        self._require()
        first = request[:1]

        def begin() -> None:
            self._port.reset_input_buffer()
            self._write(first)

        self._loop.remove_reader(self._port.fileno())
        try:
            pulse = await self._undivided(lambda: wake_pulse(self, begin, self._watch))
        finally:
            self.discard()
            self._loop.add_reader(self._port.fileno(), self._readable)
        await self._expect(first)
        await asyncio.sleep(gap_s)
        await self.send(request[1:], gap_s)
        return pulse

    def hold(self, low: bool) -> None:
        """Hold the line low by a break, or let go. Raises KLineError."""
        try:
            self._port.break_condition = low
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Let go of the line and of the device."""
        if self._port.is_open:
            self._loop.remove_reader(self._port.fileno())
            self._port.close()
        self._lose(LineGoneError(f"{self._name} was closed"))

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise self._failed(error) from error

    def _look(self) -> None:
        """Nothing to read is no sign of anything here."""
        if self._gone is None:
            self._read()

    def _readable(self) -> None:
        """Nothing to read is a hang-up, or what was there was looked at already."""
        if not self._read() and self._gone is None and self._hung_up():
            self._unplugged(LineGoneError(f"{self._name} is gone"))

    def _hung_up(self) -> bool:
        asked = select.poll()
        asked.register(self._port.fileno(), 0)
        return bool(asked.poll(0))

    def _read(self) -> bool:
        try:
            data = os.read(self._port.fileno(), _READ_BYTES)
        except BlockingIOError:
            return True
        except OSError as error:
            self._unplugged(self._failed(error))
            return False
        self._feed(data)
        return bool(data)

    def _unplugged(self, why: KLineError) -> None:
        self._loop.remove_reader(self._port.fileno())
        self._lose(why)

    def _forget(self) -> None:
        """A line that was held low reads as bytes that nobody sent."""
        self._port.reset_input_buffer()
        self.discard()

    async def _undivided(self, work: Callable[[], T]) -> T:
        """Timed work in a thread of its own; who is cancelled meanwhile waits until the line was let go."""
        task = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait((task,))
            raise

    def _failed(self, error: OSError) -> LineGoneError:
        return LineGoneError(f"{self._name}: {error.strerror or error}")


def _opened(device: str, rate_bps: int) -> Any:
    try:
        serial = importlib.import_module(_MODULE)
    except ImportError as error:
        raise KLineError(f"the Python package pyserial is not installed ({error})") from error
    try:
        return serial.Serial(device, rate_bps, timeout=0, exclusive=True)
    except (OSError, ValueError) as error:
        raise KLineError(f"{device}: {error}") from error
