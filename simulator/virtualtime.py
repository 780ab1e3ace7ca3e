"""Event loops whose clock is not the wall's: virtual time jumps from timer to timer, scaled time runs N-fold.

Everything in Pitbox takes its time from the running loop, so a flash of minutes costs a test only the work.
Work in threads is invisible to a virtual clock: code that runs on one does its disk I/O inline.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

_POLL_EVERY = 256
"""Loop turns between two looks at real file descriptors while virtual time is busy."""

_SAME_INSTANT_S = 2e-9
"""Timers so close to each other run in one turn of a loop, in its order."""
_STUCK_AFTER = 1_000_000
"""Loop turns in a row in which no virtual time passed: somebody spins, and would for ever."""


class TimeStandsStillError(RuntimeError):
    """Something runs again and again without waiting for anything."""


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for `timeout` seconds, moves the clock on by as much."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.frozen = False
        self._turns = 0
        self._still = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or (self.frozen and timeout > 0):
            self._still = 0
            return super().select(None)
        self._turns += 1
        self._still = 0 if timeout > 0 else self._still + 1
        if self._still > _STUCK_AFTER:
            self._still = 0
            raise TimeStandsStillError(f"no virtual time has passed in {_STUCK_AFTER} turns of the loop")
        if self._turns % _POLL_EVERY == 0:
            events = super().select(0)
            if events:
                return events
        if timeout > 0:
            self.now_s += timeout
        return []

    def leap_to(self, when_s: float) -> bool:
        """A turn without the loop; False for one at which real file descriptors are due."""
        if self.frozen or (self._turns + 1) % _POLL_EVERY == 0 or when_s <= self.now_s:
            return False
        self._turns += 1
        self._still = 0
        self.now_s += when_s - self.now_s
        return True


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while callbacks run and jumps to the next timer when there is nothing to run.

    A loop that never gets there ends with TimeStandsStillError.

    Set `frozen` to stop the jumping: the loop then waits for real I/O only (an engine between two jobs).
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.now_s

    def leap_to(self, when_s: float) -> bool:
        """Move the clock on for the last act of a timer's callback; False where something else comes before.

        What a timer at `when_s` would then have done, the callback may do at once: on a wire, frame follows
        frame without a turn of the loop for each.
        """
        if self._ready or (self._scheduled and self._scheduled[0].when() <= when_s + _SAME_INSTANT_S):
            return False
        return self._virtual.leap_to(when_s)

    @property
    def frozen(self) -> bool:
        """True while the clock stands still."""
        return self._virtual.frozen

    @frozen.setter
    def frozen(self, value: bool) -> None:
        self._virtual.frozen = value


def leaping(loop: asyncio.AbstractEventLoop) -> Callable[[float], bool]:
    """`VirtualLoop.leap_to` of a loop that has it; a clock that goes by itself cannot be moved."""
    return loop.leap_to if isinstance(loop, VirtualLoop) else lambda _when_s: False


class _ScaledSelector(selectors.DefaultSelector):
    """Waits until the wall's clock has got as far as the next timer, and moves its own clock no further."""

    def __init__(self, pace: float) -> None:
        super().__init__()
        self.now_s = 0.0
        self._pace = pace
        self._began_s = time.monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        due_s = math.inf if timeout is None else self.now_s + timeout
        ahead_s = max(0.0, due_s - self._wall_s())
        events = super().select(None if timeout is None else ahead_s / self._pace)
        if events or timeout is None:
            due_s = min(due_s, max(self.now_s, self._wall_s()))
        self.now_s = due_s
        return events

    def _wall_s(self) -> float:
        return (time.monotonic() - self._began_s) * self._pace


class ScaledLoop(asyncio.SelectorEventLoop):
    """A loop whose seconds pass `pace` times as fast as the wall's.

    A process that was kept waiting, or cannot keep up, catches up timer by timer: no timeout overtakes an
    answer that comes before it, whatever else the machine does.
    """

    def __init__(self, pace: float) -> None:
        self._scaled = _ScaledSelector(pace)
        super().__init__(self._scaled)

    def time(self) -> float:
        """Scaled seconds since the loop was made."""
        return self._scaled.now_s


def run_virtual(main: Coroutine[Any, Any, Result]) -> Result:
    """Like asyncio.run, on a fresh VirtualLoop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
