"""What a bench supply can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class SupplyError(ConnectionError):
    """The supply did not obey or could not be measured: no value is invented."""


class Output(StrEnum):
    """What is switched."""

    SUPPLY = "supply"
    """Permanent supply of the controller (terminal 30)."""
    IGNITION = "ignition"
    """Switched supply (terminal 15)."""


@dataclass(frozen=True, slots=True)
class SupplyReading:
    """One measurement at the supply's output."""

    volts: float
    amps: float
    """Drawn from both outputs together."""
    tripped: bool = False
    """Its own current limit has switched it off; a supply that cannot tell says False."""


class Supply(Protocol):
    """Two outputs, off until they are switched on."""

    def switch(self, output: Output, on: bool) -> None:
        """At once, so that it also works where no event loop runs any more. Raises SupplyError."""

    async def read(self) -> SupplyReading:
        """Measure the permanent output, and the current. Raises SupplyError."""

    async def probe(self) -> float:
        """Volts at the permanent output, switched off, while a few milliamps are fed into it.

        Near 5 V nothing takes them, near 0.7 V a diode does. Raises SupplyError.
        """
