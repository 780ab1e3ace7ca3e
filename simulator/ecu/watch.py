"""Running totals of the bytes an ECU read, erased and programmed, and what is to happen at given totals."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from enum import StrEnum

Action = Callable[[int], None]
"""Called with the address of the byte at which the total was reached."""


class Counter(StrEnum):
    """What is counted."""

    READ = "read"
    ERASED = "erased"
    PROGRAMMED = "programmed"


class ByteWatch:
    """Totals since the simulator was started; they go on over resets and power cuts."""

    def __init__(self) -> None:
        self.totals = dict.fromkeys(Counter, 0)
        self._marks: dict[Counter, list[tuple[int, int, Action]]] = {counter: [] for counter in Counter}
        self._serial = 0

    def at(self, counter: Counter, total: int, action: Action) -> None:
        """Call action once the total is reached; marks already passed are due with the next byte."""
        self._serial += 1
        insort(self._marks[counter], (max(total, self.totals[counter] + 1), self._serial, action))

    def room(self, counter: Counter, wanted: int) -> int:
        """How many of the wanted bytes may be done before something is to happen (at least 1)."""
        marks = self._marks[counter]
        return min(wanted, max(1, marks[0][0] - self.totals[counter])) if marks else wanted

    def advance(self, counter: Counter, start: int, count: int) -> bool:
        """Count bytes done from address `start` on; True if that set anything off."""
        before = self.totals[counter]
        total = self.totals[counter] = before + count
        marks, fired = self._marks[counter], False
        while marks and marks[0][0] <= total:
            mark, _, action = marks.pop(0)
            action(start + max(mark - before, 1) - 1)
            fired = True
        return fired
