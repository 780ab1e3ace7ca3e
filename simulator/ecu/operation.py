"""Erasing and programming that take time and can be cut off at any byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from appliance.contract.places import Range
from simulator.ecu.memory import FlashMemory
from simulator.ecu.watch import ByteWatch, Counter

Part = Callable[[int, int], None]
"""Bring the memory from `done` to `stop` bytes of the operation."""


class Operation:
    """`length` bytes from address `start` on, done at an even pace over `seconds`."""

    def __init__(
        self, watch: ByteWatch, counter: Counter, start: int, length: int, seconds: float, part: Part
    ) -> None:
        self._watch = watch
        self._counter = counter
        self._start = start
        self._length = length
        self._seconds = seconds
        self._part = part
        self._done = 0
        self._stop = 0
        self._since_s = 0.0
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Go through to the end, stopping at each byte where something is to happen."""
        while self._done < self._length:
            self._since_s = self._loop.time()
            self._stop = self._done + self._watch.room(self._counter, self._length - self._done)
            if self._seconds:
                await asyncio.sleep(self._seconds * (self._stop - self._done) / self._length)
            await self._reach(self._stop)

    def interrupt(self) -> None:
        """The supply fails now: leave the memory as far as the time went, and never touch it again."""
        if self._done < self._stop and self._seconds:
            share = (self._loop.time() - self._since_s) * self._length / self._seconds
            reached = min(self._stop, self._done + int(share))
            self._part(self._done, reached)
        self._done = self._length

    async def _reach(self, stop: int) -> None:
        begin, self._done = self._done, stop
        self._part(begin, stop)
        if self._watch.advance(self._counter, self._start + begin, stop - begin):
            await asyncio.sleep(0)  # what happened may have been a power cut: let it end this task


def erase_part(memory: FlashMemory, sectors: Sequence[Range]) -> Part:
    """Erases the sectors one after the other; the one where it stops holds garbage."""

    def part(done: int, stop: int) -> None:
        at = 0
        for sector in sectors:
            if at < stop and done < at + sector.length:
                memory.erase_part(sector, min(stop - at, sector.length))
            at += sector.length

    return part


class Programming:
    """Programs one piece of data; `succeeded` tells whether every cell held it afterwards."""

    def __init__(self, memory: FlashMemory, start: int, data: bytes) -> None:
        self._memory = memory
        self._start = start
        self._data = data
        self.succeeded = True

    def part(self, done: int, stop: int) -> None:
        """Program the bytes from `done` to `stop`."""
        if stop > done:
            self.succeeded &= self._memory.program(self._start + done, self._data[done:stop])
