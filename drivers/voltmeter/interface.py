"""What a voltmeter can do."""

from __future__ import annotations

from typing import Protocol


class VoltmeterError(ConnectionError):
    """The meter did not answer or is not fitted: there is no reading, and 0 V is never invented."""


class Voltmeter(Protocol):
    """Measures the supply the ECU sees."""

    source: str
    """Its kind, which is told with every reading."""

    async def read_v(self) -> float:
        """One reading in volts. Raises VoltmeterError."""
