"""Erase and check by local routines: started by 31, asked for by 33 until done (sources: kwp-routines)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.contract.places import Range
from simulator.ecu.memory import FlashMemory
from simulator.kline.ecu import KwpEcu, Reply
from simulator.kline.finishing import Finishing
from simulator.kline.refusing import RefusedError, require
from simulator.kline.settings import KwpEcuSettings
from simulator.kline.transfer import Transfer

ERASE, CHECK = 0xC4, 0xC5
_STILL_RUNNING, _MISMATCH = 0x23, 0x77
_TOOL_CODE_BYTES = 6


class Served(Protocol):
    """The server around it."""

    ecu: KwpEcu
    settings: KwpEcuSettings
    flash: FlashMemory
    now_s: Callable[[], float]
    unfinished: set[int]
    finishing: Finishing
    transfer: Transfer

    def require_programming(self) -> None:
        """Raises RefusedError."""


@dataclass(slots=True)
class Running:
    """A routine and when it is through."""

    routine: int
    done_s: float
    good: bool = True
    sectors: tuple[Range, ...] = ()
    """Start and size of those that it erases."""


class Routines:
    """One at a time; it goes on when the line is lost."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._running: Running | None = None
        self.erased: list[int] = []
        """Start of every sector that was erased, in order."""

    def power_lost(self) -> None:
        """The sectors of an erase under way hold nobody knows what; none runs any more."""
        running, self._running = self._running, None
        if running is not None and self._server.now_s() < running.done_s:
            for sector in running.sectors:
                self._server.flash.erase_part(sector, sector.length // 2)

    def start(self, request: bytes) -> Reply:
        """31 routine parameters."""
        self._server.require_programming()
        require(not self._is_busy(), 0x21)
        routine = request[1]
        require(routine in (ERASE, CHECK), 0x12)
        require(len(request) >= 8, 0x12)
        start, last = int.from_bytes(request[2:5]), int.from_bytes(request[5:8])
        require(start <= last and self._server.flash.contains(start, last + 1 - start), 0x31)
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
        require(not self._is_busy(), _STILL_RUNNING)
        require(running.good, _MISMATCH)
        return Reply(bytes((0x73, running.routine, 0x00)))

    def _is_busy(self) -> bool:
        return self._running is not None and self._server.now_s() < self._running.done_s

    def _erase(self, start: int, size: int, tool_code: bytes) -> None:
        require(len(tool_code) in (0, _TOOL_CODE_BYTES), 0x12)
        sectors = self._server.flash.sectors(start, size)
        if sectors is None:
            raise RefusedError(0x31)
        for sector in sectors:
            self._server.flash.erase_part(sector, sector.length)
            self.erased.append(sector.start)
            self._server.unfinished.add(sector.start)
        done_s = self._server.now_s() + self._server.settings.erase_s * len(sectors)
        self._running = Running(ERASE, done_s, sectors=tuple(sectors))

    def _check(self, start: int, size: int, expected: bytes) -> None:
        require(len(expected) == 2, 0x12)
        good = zlib.crc32(self._server.flash.read(start, size)) & 0xFFFF == int.from_bytes(expected)
        self._running = Running(CHECK, self._server.now_s() + self._server.settings.check_s, good)

    def _drop(self) -> None:
        self._server.ecu.fall_asleep()
