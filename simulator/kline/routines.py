"""Erase and check by local routines: started by 31, asked for by 33 until done (sources: kwp-routines)."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import Protocol

from simulator.ecu.chip import Chip, Program
from simulator.ecu.nrc import RefusedError as BrokenOffError
from simulator.ecu.operation import erase_part
from simulator.ecu.watch import Counter
from simulator.kline.ecu import KwpEcu
from simulator.kline.finishing import Finishing
from simulator.kline.refusing import RefusedError, require
from simulator.kline.reply import Reply
from simulator.kline.settings import KwpEcuSettings
from simulator.kline.transfer import Transfer

ERASE, CHECK = 0xC4, 0xC5
_STILL_RUNNING, _MISMATCH = 0x23, 0x77
_TOOL_CODE_BYTES = 6


class Served(Protocol):
    """The server around it."""

    ecu: KwpEcu
    settings: KwpEcuSettings
    core: Chip
    finishing: Finishing
    transfer: Transfer

    def require_programming(self) -> None:
        """Raises RefusedError."""


@dataclass(slots=True)
class Running:
    """A routine, and how it ended: refused by `code` where there is one."""

    routine: int
    over: bool = False
    code: int | None = None


class Routines:
    """One at a time; it goes on when the line is lost."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._running: Running | None = None
        self._task: asyncio.Task[None] | None = None
        self.erased: list[int] = []
        """Start of every sector that was erased, in order."""

    def power_lost(self) -> None:
        """None runs any more; the sectors of an erase under way hold nobody knows what."""
        self._running = None
        if self._task is not None:
            self._task.cancel()

    def start(self, request: bytes) -> Reply:
        """31 routine parameters."""
        self._server.require_programming()
        require(not self.is_busy, 0x21)
        routine = request[1]
        require(routine in (ERASE, CHECK), 0x12)
        require(len(request) >= 8, 0x12)
        start, last = int.from_bytes(request[2:5]), int.from_bytes(request[5:8])
        require(start <= last and self._server.core.memory.contains(start, last + 1 - start), 0x31)
        self._server.finishing.routine(erases=routine == ERASE, had_transfer=self._server.transfer.had_one)
        begin = self._erase if routine == ERASE else self._check
        begin(start, last + 1 - start, request[8:])
        drops = routine == ERASE and self._server.settings.drops_after_erase
        return Reply(bytes((0x71, routine)) + (b"\x01" if drops else b""), self._drop if drops else None)

    def stop(self, request: bytes) -> Reply:
        """32: nothing that erases can be stopped."""
        raise RefusedError(0x22)

    def result(self, request: bytes) -> Reply:
        """33: 23 while it runs."""
        running = self._running
        require(running is not None and running.routine == request[1], 0x22)
        assert running is not None
        require(not self.is_busy, _STILL_RUNNING)
        if running.code is not None:
            raise RefusedError(running.code)
        return Reply(bytes((0x73, running.routine, 0x00)))

    @property
    def is_busy(self) -> bool:
        """Whether one runs now."""
        return self._running is not None and not self._running.over

    def _erase(self, start: int, size: int, tool_code: bytes) -> None:
        core = self._server.core
        require(len(tool_code) in (0, _TOOL_CODE_BYTES), 0x12)
        sectors = core.memory.sectors(start, size)
        require(sectors is not None and core.writable(start, size), 0x31)
        assert sectors is not None
        places = [(start, size), *core.taken_with(start, size)]
        sectors += [sector for place in places[1:] for sector in core.memory.sectors(*place) or ()]
        whole = sum(length for _, length in places)
        for place in places:
            core.begin_erase(*place)
        core.program = Program.BOOTLOADER
        running = self._running = Running(ERASE)

        async def erase() -> None:
            seconds = whole * self._server.settings.erase_s_per_byte
            try:
                await core.operate(Counter.ERASED, start, whole, seconds, erase_part(core.memory, sectors))
            except BrokenOffError as broken:
                running.code = broken.nrc
            else:
                self.erased += [sector.start for sector in sectors]
                for place in places:
                    core.note_erased(*place)
            running.over = True

        self._task = asyncio.get_running_loop().create_task(erase())

    def _check(self, start: int, size: int, expected: bytes) -> None:
        require(len(expected) == 2, 0x12)
        held = zlib.crc32(self._server.core.memory.read(start, size)) & 0xFFFF
        running = self._running = Running(CHECK)

        async def check() -> None:
            await asyncio.sleep(self._server.settings.check_s)
            running.code = None if held == int.from_bytes(expected) else _MISMATCH
            running.over = True

        self._task = asyncio.get_running_loop().create_task(check())

    def _drop(self) -> None:
        self._server.ecu.fall_asleep()
