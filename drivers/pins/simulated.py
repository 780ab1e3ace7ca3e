"""Pins on a simulated bench, with the ways real ones fail."""

from __future__ import annotations

from typing import Protocol

from drivers.pins.interface import PinsError


class Lines(Protocol):
    """The other end of the pins: what is on each line, and who drives it."""

    @property
    def line_names(self) -> frozenset[str]:
        """The lines there are."""

    def set_line(self, name: str, high: bool | None) -> None:
        """The box drives the line; None: it has let go."""

    def line_is_high(self, name: str) -> bool:
        """The level on the line as the box sees it."""


class SimulatedPins:
    """`stuck` lines read back the level named there whatever is driven; with `gone` nothing obeys."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.stuck: dict[str, bool] = {}
        self.gone = False

    @property
    def names(self) -> frozenset[str]:
        """The lines there are."""
        return self._lines.line_names

    def drive(self, name: str, high: bool) -> None:
        """Drive a line. Raises PinsError."""
        self._require(name)
        self._lines.set_line(name, high)

    def release(self, name: str) -> None:
        """Let go of a line. Raises PinsError."""
        self._require(name)
        self._lines.set_line(name, None)

    def read(self, name: str) -> bool:
        """True is high. Raises PinsError."""
        self._require(name)
        return self.stuck.get(name, self._lines.line_is_high(name))

    def _require(self, name: str) -> None:
        if self.gone:
            raise PinsError("the simulated pins do not answer")
        if name not in self.names:
            raise PinsError(f"there is no line {name}")
