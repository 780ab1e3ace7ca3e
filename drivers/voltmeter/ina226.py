"""INA226 bus-voltage monitor on a Linux I2C bus, behind the resistor divider of the supply input."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from drivers.voltmeter.interface import VoltmeterError

_I2C_SLAVE = 0x0703
"""ioctl of linux/i2c-dev.h: which chip this file descriptor talks to."""
_SHUNT_VOLTAGE, _BUS_VOLTAGE, _MANUFACTURER_ID = 0x01, 0x02, 0xFE
_TEXAS_INSTRUMENTS = 0x5449
_VOLTS_PER_BIT = 0.00125
"""Bus voltage register (sources: ina226)."""
_SHUNT_VOLTS_PER_BIT = 2.5e-6
"""Shunt voltage register, a signed number (sources: ina226)."""
_CLOSED = -1
_SHUNT_LIMITS = (-0x8000, 0x7FFF)


class Ina226:
    """One chip, opened at once so that a missing meter is found before a job begins."""

    source = "ina226"

    def __init__(self, device: Path, address: int, gain: float = 1.0, offset_v: float = 0.0) -> None:
        """Volts are register * 1.25 mV * gain + offset. Raises VoltmeterError."""
        self._name = f"INA226 at {device}, address 0x{address:02x}"
        self._gain = gain
        self._offset_v = offset_v
        try:
            self._descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise VoltmeterError(f"{self._name}: {error.strerror}") from error
        try:
            self._select(address)
            self._require_ina226()
        except VoltmeterError:
            self.close()
            raise

    async def read_v(self) -> float:
        """One reading in volts. Raises VoltmeterError."""
        return self._register(_BUS_VOLTAGE) * _VOLTS_PER_BIT * self._gain + self._offset_v

    async def read_shunt_v(self) -> float:
        """Volts over the shunt. Raises VoltmeterError, also beyond the range: how much it is nobody knows."""
        bits = self._register(_SHUNT_VOLTAGE)
        signed = bits - 0x1_0000 if bits & 0x8000 else bits
        if signed in _SHUNT_LIMITS:
            raise VoltmeterError(f"{self._name}: the current is beyond what it can measure")
        return signed * _SHUNT_VOLTS_PER_BIT

    def close(self) -> None:
        """Let go of the I2C bus. Its number may be another file's right afterwards: it is forgotten."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)

    def _select(self, address: int) -> None:
        try:
            fcntl.ioctl(self._descriptor, _I2C_SLAVE, address)
        except OSError as error:
            raise VoltmeterError(f"{self._name}: {error.strerror}") from error

    def _require_ina226(self) -> None:
        found = self._register(_MANUFACTURER_ID)
        if found != _TEXAS_INSTRUMENTS:
            raise VoltmeterError(f"{self._name}: another chip answers there (manufacturer 0x{found:04x})")

    def _register(self, number: int) -> int:
        """A 16-bit register, most significant byte first."""
        try:
            os.write(self._descriptor, bytes((number,)))
            answer = os.read(self._descriptor, 2)
        except OSError as error:
            raise VoltmeterError(f"{self._name}: {error.strerror}") from error
        if len(answer) != 2:
            raise VoltmeterError(f"{self._name}: the answer broke off")
        return int.from_bytes(answer, "big")
