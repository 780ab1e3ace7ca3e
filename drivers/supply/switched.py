"""A supply whose outputs are switched by pins, with a voltmeter at its output and an ammeter behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from drivers.ammeter.interface import Ammeter, AmmeterError
from drivers.pins.interface import Pins, PinsError
from drivers.supply.interface import Output, SupplyError, SupplyReading
from drivers.voltmeter.interface import Voltmeter, VoltmeterError

PROBE_LINE = "probe"
"""High feeds the permanent output from 5 V through a resistor of some kilohms."""
_PROBE_SETTLES_S = 0.05


class SwitchedSupply:
    """A high line switches an output on. Off when it is made. Trips it cannot tell."""

    def __init__(
        self, pins: Pins, lines: Mapping[Output, str], meter: Voltmeter, ammeter: Ammeter | None
    ) -> None:
        """Raises SupplyError for an output without a line, or where a line does not obey."""
        missing = [output.value for output in Output if lines.get(output) not in pins.names]
        if missing:
            raise SupplyError(f"no line switches {' and '.join(missing)}")
        self._pins, self._lines, self._meter, self._ammeter = pins, dict(lines), meter, ammeter
        for output in Output:
            self.switch(output, False)
        if PROBE_LINE in pins.names:
            self._drive(PROBE_LINE, PROBE_LINE, False)

    def switch(self, output: Output, on: bool) -> None:
        """The line is driven either way, and read back. Raises SupplyError."""
        self._drive(output.value, self._lines[output], on)

    async def read(self) -> SupplyReading:
        """Raises SupplyError, also where there is no sensor for the current."""
        if self._ammeter is None:
            raise SupplyError("nothing measures the current: the supply has no ammeter")
        try:
            return SupplyReading(await self._meter.read_v(), await self._ammeter.read_a())
        except (VoltmeterError, AmmeterError) as error:
            raise SupplyError(str(error)) from error

    async def probe(self) -> float:
        """Raises SupplyError, also where no line feeds a probe."""
        if PROBE_LINE not in self._pins.names:
            raise SupplyError(f"no line called {PROBE_LINE} feeds the output while it is off")
        self._drive(PROBE_LINE, PROBE_LINE, True)
        try:
            await asyncio.sleep(_PROBE_SETTLES_S)
            return await self._meter.read_v()
        except VoltmeterError as error:
            raise SupplyError(str(error)) from error
        finally:
            self._drive(PROBE_LINE, PROBE_LINE, False)

    def _drive(self, name: str, line: str, on: bool) -> None:
        try:
            self._pins.drive(line, on)
            follows = self._pins.read(line) == on
        except PinsError as error:
            raise SupplyError(f"{name}: {error}") from error
        if not follows:
            raise SupplyError(f"{name}: line {line} does not follow")
