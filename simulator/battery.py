"""The car's supply: a level, what loads take from it, ripple, and scripted changes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial

RIPPLE_HZ = 97.3
"""Off the usual sampling rates, so that a meter sees every phase of it."""


class Battery:
    """Supply voltage over the running loop's time."""

    def __init__(self, level_v: float = 13.5, load_sag_v: float = 0.05, ripple_v: float = 0.0) -> None:
        """`load_sag_v` is taken off for each load, `ripple_v` is the ripple's amplitude."""
        self._level_v = level_v
        self._load_sag_v = load_sag_v
        self._ripple_v = ripple_v
        self._loads = 0
        self._held: list[float] = []
        self._extra_ripple_v = 0.0
        self._listeners: list[Callable[[], None]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def level_v(self) -> float:
        """Supply with its loads, without ripple."""
        level_v = self._held[-1] if self._held else self._level_v
        return max(0.0, level_v - self._loads * self._load_sag_v)

    def voltage_v(self, now_s: float | None = None) -> float:
        """What a meter reads at a moment of the loop's time."""
        at_s = self._loop.time() if now_s is None else now_s
        amplitude_v = self._ripple_v + self._extra_ripple_v
        return max(0.0, self.level_v + amplitude_v * math.sin(2 * math.pi * RIPPLE_HZ * at_s))

    def set_level(self, level_v: float) -> None:
        """A supply unit is connected, or the battery runs down."""
        self._level_v = level_v
        self._changed()

    def schedule(self, script: tuple[tuple[float, float], ...]) -> None:
        """(seconds from now, level in volts), one step each."""
        for after_s, level_v in script:
            self._later(after_s, partial(self.set_level, level_v))

    def hold(self, level_v: float, duration_s: float) -> None:
        """Force the level for a while: a sag, a brown-out or an overvoltage."""
        self._held.append(level_v)
        self._later(duration_s, partial(self._release, level_v))
        self._changed()

    def disturb(self, amplitude_v: float, duration_s: float) -> None:
        """Add ripple for a while: a bad charger."""
        self._extra_ripple_v += amplitude_v
        self._later(duration_s, partial(self._calm, amplitude_v))

    def add_load(self, change: int) -> None:
        """+1 when a load is switched on, -1 when it is switched off."""
        self._loads += change
        self._changed()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call listener after each change of the level."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Forget what is scheduled."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _release(self, level_v: float) -> None:
        self._held.remove(level_v)
        self._changed()

    def _calm(self, amplitude_v: float) -> None:
        self._extra_ripple_v -= amplitude_v

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()

    def _later(self, after_s: float, action: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            action()

        timer = self._loop.call_later(after_s, due)
        self._timers.add(timer)
