"""A voltmeter that measures a simulated supply, with the ways a real one fails."""

from __future__ import annotations

from collections.abc import Callable

from drivers.voltmeter.interface import VoltmeterError


class SimulatedVoltmeter:
    """Reads `supply` (volts). `stuck` repeats the last reading for ever; `silent` gives none."""

    source = "simulated"

    def __init__(self, supply: Callable[[], float]) -> None:
        self._supply = supply
        self._last_v: float | None = None
        self.stuck = False
        self.silent = False

    async def read_v(self) -> float:
        """One reading in volts. Raises VoltmeterError."""
        if self.silent:
            raise VoltmeterError("the simulated voltmeter does not answer")
        if self._last_v is None or not self.stuck:
            self._last_v = self._supply()
        return self._last_v
