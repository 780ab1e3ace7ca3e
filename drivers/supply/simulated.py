"""A supply on a simulated bench, with the ways a real one fails."""

from __future__ import annotations

from typing import Protocol

from drivers.supply.interface import Output, SupplyError, SupplyReading


class Source(Protocol):
    """The other end of the switch: what the bench draws."""

    def set_output(self, output: Output, on: bool) -> None:
        """Switch an output."""

    def measure(self) -> SupplyReading:
        """What is at the permanent output now."""

    def probe(self) -> float:
        """Volts at the permanent output while the probe feeds it."""


class SimulatedSupply:
    """`welded` outputs stay as they are whatever is switched; `silent` cannot be measured."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.welded: set[Output] = set()
        self.silent = False
        self.gone = False

    def switch(self, output: Output, on: bool) -> None:
        """Raises SupplyError."""
        if self.gone:
            raise SupplyError("the simulated supply does not answer")
        if output not in self.welded:
            self._source.set_output(output, on)

    async def read(self) -> SupplyReading:
        """Raises SupplyError."""
        if self.silent or self.gone:
            raise SupplyError("the simulated supply cannot be measured")
        return self._source.measure()

    async def probe(self) -> float:
        """Raises SupplyError."""
        if self.silent or self.gone:
            raise SupplyError("the simulated supply cannot be measured")
        return self._source.probe()
