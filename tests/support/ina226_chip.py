"""An INA226 behind the system calls that its driver makes on a Linux I2C bus."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest


class FakeChip:
    """Answers the system calls that the driver makes on an I2C device."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, device: Path) -> None:
        self.registers = {0x02: 0x2710, 0xFE: 0x5449}
        self.address: int | None = None
        self.answers = True
        self.short = False
        self._pointer = 0
        device.touch()
        monkeypatch.setattr(fcntl, "ioctl", self._ioctl)
        monkeypatch.setattr(os, "write", self._write)
        monkeypatch.setattr(os, "read", self._read)

    def _ioctl(self, _descriptor: int, request: int, address: int) -> int:
        assert request == 0x0703
        self.address = address
        return 0

    def _write(self, _descriptor: int, data: bytes) -> int:
        if not self.answers:
            raise OSError(121, "Remote I/O error")
        (self._pointer,) = data
        return 1

    def _read(self, _descriptor: int, length: int) -> bytes:
        assert length == 2
        return self.registers[self._pointer].to_bytes(2, "big")[: 1 if self.short else 2]
