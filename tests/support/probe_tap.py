"""The chip's end of a test access port: words of memory, an erase of everything, and faults at any byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from appliance.contract.places import Range
from tests.support.probe_ecu import ProbeEcu

IDCODE, ADDRESS, READ, ERASE, PROGRAM, STATUS, RUN = range(1, 8)
ERASE_KEY = 0x4552_4153
ALIVE, BUSY = 0xA0, 0x01
"""A port that nobody drives reads as all ones, which is neither."""
WORD_BYTES = 4
_DEAD = 0xFFFF_FFFF


@dataclass
class ProbeTap:
    """A chip that is supplied or not. `struck_at` has what happens before so many bytes were changed."""

    ecu: ProbeEcu
    idcode: int
    supplied: Callable[[], bool]
    clock: Callable[[], float]
    erase_s: float = 0.4
    changed_bytes: int = 0
    """Erased and programmed, since it was made."""
    read_bytes: int = 0
    struck_at: dict[int, Callable[[], None]] = field(default_factory=dict)
    struck_at_read: dict[int, Callable[[], None]] = field(default_factory=dict)
    erases: int = 0
    mute_until: float = -1.0
    """The chip answers nothing before."""
    gone: bool = False
    """The adapter itself was unplugged."""
    _instruction: int = IDCODE
    _address: int = 0
    _busy_until: float = 0.0

    @property
    def address(self) -> int:
        """Of the word that is due, inside the chip."""
        (block,) = self.ecu.blocks()
        return min(max(self._address, block.start), block.end - 1)

    def reset(self) -> None:
        self._require()
        self._instruction = IDCODE

    def shift_ir(self, value: int, bits: int) -> int:
        self._require()
        self._instruction = value
        return _DEAD if self._silent else 0b0001

    def shift_dr(self, value: int, bits: int) -> int:
        self._require()
        if self._silent:
            return _DEAD >> (32 - bits)
        busy = self.clock() < self._busy_until
        if self._instruction == STATUS:
            return ALIVE | (BUSY if busy else 0)
        if self._instruction == IDCODE:
            return self.idcode
        assert not busy, "a chip that is busy was asked for more"
        return self._work(value)

    def _work(self, value: int) -> int:
        if self._instruction == ADDRESS:
            self._address = value
        elif self._instruction == READ:
            return self._read()
        elif self._instruction == ERASE:
            assert value == ERASE_KEY
            self._erase()
        elif self._instruction == PROGRAM:
            self._program(value.to_bytes(WORD_BYTES, "little"))
        elif self._instruction == RUN:
            self.ecu.incomplete.clear()
            self.ecu.reset()
        return 0

    @property
    def _silent(self) -> bool:
        return not self.supplied() or self.clock() < self.mute_until

    def _require(self) -> None:
        if self.gone:
            raise ConnectionError("the adapter is unplugged")

    def _read(self) -> int:
        self._strike(self.struck_at_read, self.read_bytes, WORD_BYTES)
        self.read_bytes += WORD_BYTES
        if self._silent:
            return _DEAD
        word = self.ecu.read(self._here(WORD_BYTES))
        self._address += WORD_BYTES
        return int.from_bytes(word, "little")

    def _erase(self) -> None:
        """From the first byte to the last, as far as the supply goes."""
        self.erases += 1
        self._busy_until = self.clock() + self.erase_s
        (block,) = self.ecu.blocks()
        with self._as_far_as_it_goes(block.size) as done:
            self.ecu.erase(block, done)

    def _program(self, word: bytes) -> None:
        with self._as_far_as_it_goes(WORD_BYTES) as done:
            if done:
                self.ecu.program(self._here(done), word[:done])
            self._address += WORD_BYTES

    @contextmanager
    def _as_far_as_it_goes(self, size: int) -> Iterator[int]:
        """How much of a change is done before what strikes in the middle of it."""
        due = [at for at in self.struck_at if self.changed_bytes <= at < self.changed_bytes + size]
        done = min(due) - self.changed_bytes if due else size
        yield done
        before, self.changed_bytes = self.changed_bytes, self.changed_bytes + size
        self._strike(self.struck_at, before, size)

    def _strike(self, faults: dict[int, Callable[[], None]], at: int, size: int) -> None:
        for due in [one for one in faults if at <= one < at + size]:
            faults.pop(due)()

    def _here(self, size: int) -> Range:
        return Range("flash", self._address, size)
