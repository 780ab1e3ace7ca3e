"""What an ammeter can do."""

from __future__ import annotations

from typing import Protocol


class AmmeterError(ConnectionError):
    """The meter did not answer or is not fitted: there is no reading, and 0 A is never invented."""


class Ammeter(Protocol):
    """Measures what a bench supply gives to the ECU."""

    async def read_a(self) -> float:
        """One reading in amperes. Raises AmmeterError."""
