"""Download into flash and upload out of it, without a block counter: 34 to 37 (ISO 14230-3, 9)."""

from __future__ import annotations

from itertools import cycle
from typing import Protocol

from simulator.ecu import spans
from simulator.ecu.chip import Chip
from simulator.ecu.nrc import RefusedError as BrokenOffError
from simulator.ecu.operation import Programming
from simulator.ecu.watch import Counter
from simulator.kline.refusing import refusal, require
from simulator.kline.reply import Reply
from simulator.kline.settings import KwpEcuSettings

_RECORDS = 0x11
_RECORDS_HEADER = b"\x1a\x01"
_MOST_IN_RECORD = 0x1000
_PENDING = 0x23
_TAKE = 0x36


class Programmed(Protocol):
    """The server around it."""

    settings: KwpEcuSettings
    core: Chip
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
        require(spans.covers(server.core.nvm.records.blank, self._start, self._start + self._left), 0x22)
        require(server.core.in_turn(self._start, self._left), 0x22)
        server.core.begin_download(self._start, self._left)
        self.open = self.had_one = True
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
        self.open = self.had_one = True
        return Reply(bytes((0x75, server.settings.most_in_upload)))

    def _begin(self, request: bytes, *, upward: bool) -> None:
        start, size = int.from_bytes(request[1:4]), int.from_bytes(request[5:8])
        core = self._server.core
        require(
            size > 0 and (core.readable if upward else core.writable)(start, size), 0x52 if upward else 0x42
        )
        self._start, self._at, self._left, self._upward = start, start, size, upward

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
        seconds = len(data) * server.settings.program_s_per_byte

        async def work() -> bytes:
            done = await self._programmed(data, seconds)
            return refusal(_TAKE, 0x75) if too_long else done

        return Reply(b"", work=work, pendings=int(seconds > server.settings.p2_max_s))

    async def _programmed(self, data: bytes, seconds: float) -> bytes:
        core = self._server.core
        programming = Programming(core.memory, self._at, data)
        try:
            await core.operate(Counter.PROGRAMMED, self._at, len(data), seconds, programming.part)
        except BrokenOffError as broken:
            return refusal(_TAKE, broken.nrc)
        if not programming.succeeded:
            self.open = False
            return refusal(_TAKE, 0x72)
        self._at += len(data)
        self._left -= len(data)
        return b"\x76"

    def _give(self, request: bytes) -> Reply:
        require(len(request) == 1, 0x12)
        require(self._left > 0, 0x22)
        size = min(self._left, self._server.settings.most_in_upload - 1)
        data = self._server.core.read_flash(self._at, size)
        self._at += size
        self._left -= size
        return Reply(b"\x76" + data)

    def end(self, request: bytes) -> Reply:
        """37."""
        require(self.open and (self._left == 0 or self._upward), 0x22)
        self.open = False
        if not self._upward:
            core, size = self._server.core, self._at - self._start
            core.note_programmed(self._start, size)
            for sector in core.memory.sectors(self._start, size) or ():
                self._server.programmed(sector.start)
        return Reply(b"\x77")
