"""Download into flash without a block counter: 34, 36, 37 (ISO 14230-3, 9)."""

from __future__ import annotations

from typing import Protocol

from simulator.ecu.memory import FlashMemory
from simulator.kline.ecu import Reply
from simulator.kline.refusing import RefusedError, require
from simulator.kline.settings import KwpEcuSettings


class Programmed(Protocol):
    """The server around it."""

    settings: KwpEcuSettings
    flash: FlashMemory
    unfinished: set[int]

    def require_programming(self) -> None:
        """Raises RefusedError."""


class Transfer:
    """One download at a time; an answer that is lost leaves the tester not knowing how much was taken."""

    def __init__(self, server: Programmed) -> None:
        self._server = server
        self._start = self._at = self._left = 0
        self.open = False

    def forget(self) -> None:
        """The line was lost in the middle of it."""
        self.open = False

    def begin(self, request: bytes) -> Reply:
        """34 address format size."""
        self._server.require_programming()
        require(len(request) == 8, 0x12)
        require(request[4] == 0, 0x41)
        start, size = int.from_bytes(request[1:4]), int.from_bytes(request[5:8])
        require(self._server.flash.contains(start, size), 0x42)
        self._start, self._at, self._left, self.open = start, start, size, True
        return Reply(bytes((0x74, self._server.settings.most_in_download)))

    def take(self, request: bytes) -> Reply:
        """36 data."""
        require(self.open, 0x22)
        data = request[1:]
        require(len(request) <= self._server.settings.most_in_download, 0x12)
        require(len(data) <= self._left, 0x75)
        if not self._server.flash.program(self._at, data):
            self.open = False
            raise RefusedError(0x72)
        self._at += len(data)
        self._left -= len(data)
        return Reply(b"\x76", pending_s=len(data) * self._server.settings.program_s_per_byte)

    def end(self, request: bytes) -> Reply:
        """37."""
        require(self.open and self._left == 0, 0x22)
        self.open = False
        for sector in self._server.flash.sectors(self._start, self._at - self._start) or ():
            self._server.unfinished.discard(sector.start)
        return Reply(b"\x77")
