"""The bench supply: two switched outputs of one source that sags, and trips at its current limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from drivers.supply.interface import Output


class BenchSupply:
    """What it is set to and what it does; how much is drawn is the bench's to say."""

    def __init__(self, volts: float, limit_a: float, changed: Callable[[], None]) -> None:
        self.limit_a = limit_a
        self.on: set[Output] = set()
        """Outputs that are switched on, whether or not it has tripped."""
        self.welded: set[Output] = set()
        """Outputs whose switch is stuck: they stay on."""
        self.tripped = False
        """Until both outputs are switched off."""
        self._volts = volts
        self._held: list[float] = []
        self._changed = changed
        self._loop = asyncio.get_running_loop()

    @property
    def volts(self) -> float:
        """At an output that is on."""
        return 0.0 if self.tripped else self._held[-1] if self._held else self._volts

    def is_hot(self, output: Output) -> bool:
        """Whether there is voltage at an output."""
        return output in self.on and not self.tripped

    def set_output(self, output: Output, on: bool) -> None:
        """Switch an output; both off resets a trip."""
        (self.on.add if on or output in self.welded else self.on.discard)(output)
        self.tripped = self.tripped and bool(self.on)
        self._changed()

    def weld(self, output: Output) -> None:
        """Its switch is stuck from now on, and it is on."""
        self.welded.add(output)
        self.set_output(output, True)

    def unweld(self) -> None:
        """The switches are mended, and what was stuck falls off."""
        for output in tuple(self.welded):
            self.welded.discard(output)
            self.set_output(output, False)

    def drop(self) -> None:
        """The box that switches it is gone: what is not welded falls off."""
        self.on = set(self.welded)
        self.tripped = self.tripped and bool(self.on)

    def set_volts(self, volts: float) -> None:
        """Turn the knob."""
        self._volts = volts
        self._changed()

    def sag(self, volts: float, duration_s: float) -> None:
        """Hold the output at so many volts for a while."""
        self._held.append(volts)
        self._loop.call_later(duration_s, partial(self._release, volts))
        self._changed()

    def trip(self) -> None:
        """The current limit switches it off."""
        if self.on and not self.tripped:
            self.tripped = True
            self._changed()

    def _release(self, volts: float) -> None:
        self._held.remove(volts)
        self._changed()
