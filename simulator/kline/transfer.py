"""Download into flash and upload out of it, without a block counter: 34 to 37 (ISO 14230-3, 9)."""

from __future__ import annotations

from itertools import cycle
from typing import Protocol

from simulator.ecu.memory import FlashMemory
from simulator.kline.ecu import Reply
from simulator.kline.refusing import RefusedError, require
from simulator.kline.settings import KwpEcuSettings

_RECORDS = 0x11
_RECORDS_HEADER = b"\x1a\x01"
_MOST_IN_RECORD = 0x1000
_PENDING = 0x23


class Programmed(Protocol):
    """The server around it."""

    settings: KwpEcuSettings
    flash: FlashMemory
    unfinished: set[int]
    unlocked: int | None

    def require_programming(self) -> None:
        """Raises RefusedError."""

    def programmed(self, sector: int) -> None:
        """A sector holds all of its bytes."""


class Records:
    """Counted records under a repeated text, as they come in."""

    def __init__(self, text: bytes) -> None:
        self._over = cycle(text)
        self._header = b""
        self._clear = bytearray()

    def take(self, data: bytes) -> bytes:
        """What the whole records so far stand for. Raises RefusedError."""
        missing = len(_RECORDS_HEADER) - len(self._header)
        self._header += data[:missing]
        require(_RECORDS_HEADER.startswith(self._header), 0x77)
        self._clear += bytes(value ^ next(self._over) for value in data[missing:])
        found = bytearray()
        while len(self._clear) >= 2:
            count = int.from_bytes(self._clear[:2])
            require(0 < count <= _MOST_IN_RECORD, 0x77)
            if len(self._clear) < 2 + count:
                break
            found += self._clear[2 : 2 + count]
            del self._clear[: 2 + count]
        return bytes(found)


class Transfer:
    """One at a time; an answer that is lost leaves the tester not knowing how much was taken."""

    def __init__(self, server: Programmed) -> None:
        self._server = server
        self._start = self._at = self._left = 0
        self._records: Records | None = None
        self.open = False
        self._upward = False
        self.had_one = False
        """Whether any transfer was begun since the ECU was woken."""

    def forget(self) -> None:
        """The line was lost in the middle of it."""
        self.had_one = False
        if self._records is not None and self._server.settings.records_text is not None:
            self._records = Records(self._server.settings.records_text)
        if self._upward or not self._server.settings.keeps_download_open:
            self.open = False

    def begin(self, request: bytes) -> Reply:
        """34 address format size."""
        server = self._server
        server.require_programming()
        require(not self.open or not server.settings.keeps_download_open, _PENDING)
        text = server.settings.records_text
        require(len(request) == 8, 0x12)
        require(request[4] == (0 if text is None else _RECORDS), 0x41)
        self._begin(request, upward=False)
        self._records = None if text is None else Records(text)
        return Reply(bytes((0x74, server.settings.most_in_download)))

    def begin_upload(self, request: bytes) -> Reply:
        """35 address format size."""
        server = self._server
        require(not server.settings.needs_key_to_read or server.unlocked is not None, 0x33)
        require(not self.open or self._upward, 0x50)
        require(len(request) == 8, 0x12)
        require(request[4] == 0, 0x51)
        self._begin(request, upward=True)
        return Reply(bytes((0x75, server.settings.most_in_upload)))

    def _begin(self, request: bytes, *, upward: bool) -> None:
        start, size = int.from_bytes(request[1:4]), int.from_bytes(request[5:8])
        require(self._server.flash.contains(start, size), 0x52 if upward else 0x42)
        self._start, self._at, self._left, self.open = start, start, size, True
        self._upward, self.had_one = upward, True

    def take(self, request: bytes) -> Reply:
        """36: data in, or data out."""
        require(self.open, 0x22)
        if self._upward:
            return self._give(request)
        server = self._server
        require(1 < len(request) <= server.settings.most_in_download, 0x12)
        data = request[1:] if self._records is None else self._records.take(request[1:])
        too_long = len(data) > self._left
        if too_long and server.settings.keeps_download_open:
            data = data[: self._left]
        require(len(data) <= self._left, 0x75)
        if not self._server.flash.program(self._at, data):
            self.open = False
            raise RefusedError(0x72)
        self._at += len(data)
        self._left -= len(data)
        require(not too_long, 0x75)
        return Reply(b"\x76", pending_s=len(data) * self._server.settings.program_s_per_byte)

    def _give(self, request: bytes) -> Reply:
        require(len(request) == 1, 0x12)
        require(self._left > 0, 0x22)
        size = min(self._left, self._server.settings.most_in_upload - 1)
        data = self._server.flash.read(self._at, size)
        self._at += size
        self._left -= size
        return Reply(b"\x76" + data)

    def end(self, request: bytes) -> Reply:
        """37."""
        require(self.open and (self._left == 0 or self._upward), 0x22)
        self.open = False
        if not self._upward:
            for sector in self._server.flash.sectors(self._start, self._at - self._start) or ():
                self._server.unfinished.discard(sector.start)
                self._server.programmed(sector.start)
        return Reply(b"\x77")
