"""What a bank of pins can do."""

from __future__ import annotations

from typing import Protocol


class PinsError(ConnectionError):
    """The bank did not obey, or has no such line: the level of the line is not known."""


class Pins(Protocol):
    """Named lines, each driven high or low, or released: an input, at the level the other end gives it."""

    @property
    def names(self) -> frozenset[str]:
        """The lines there are."""

    def drive(self, name: str, high: bool) -> None:
        """Drive a line, without a glitch through the other level. Raises PinsError."""

    def release(self, name: str) -> None:
        """Make a line an input again. Raises PinsError."""

    def read(self, name: str) -> bool:
        """The level that is on the line, whoever drives it: True is high. Raises PinsError."""
