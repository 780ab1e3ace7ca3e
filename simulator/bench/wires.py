"""Wires from the box's connector to the controller's: right, swapped, open or shorted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

SUPPLY, IGNITION, GROUND = "supply", "ignition", "ground"
LINES = ("boot_1", "boot_2", "boot_3", "boot_4", "reset")
"""Pins of the box's connector."""
Rail = Literal["ground", "supply"]


class Wires:
    """At first each terminal of the box is wired to the controller's terminal of the same name."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._ends: dict[str, str | None] = {}
        self._shorts: dict[str, Rail] = {}
        self._changed: Callable[[], None] = lambda: None
        self.mend()
        self._changed = changed

    def far_end(self, terminal: str) -> str | None:
        """The controller's terminal that a terminal of the box is wired to; None where the wire is open."""
        return self._ends[terminal]

    def near_end(self, terminal: str) -> str | None:
        """The box's terminal that a terminal of the controller is wired to."""
        return next((near for near, far in self._ends.items() if far == terminal), None)

    def shorted(self, terminal: str) -> Rail | None:
        """What the wire of a terminal of the box touches."""
        return self._shorts.get(terminal)

    def swap(self, one: str, other: str) -> None:
        """Exchange the far ends of two wires."""
        self._ends[one], self._ends[other] = self._ends[other], self._ends[one]
        self._changed()

    def open(self, terminal: str) -> None:
        """Take a wire off."""
        self._ends[terminal] = None
        self._changed()

    def short(self, terminal: str, rail: Rail) -> None:
        """Let a wire touch a rail."""
        self._shorts[terminal] = rail
        self._changed()

    def mend(self) -> None:
        """All as it should be."""
        self._ends = {terminal: terminal for terminal in (SUPPLY, IGNITION, GROUND, *LINES)}
        self._shorts = {}
        self._changed()
