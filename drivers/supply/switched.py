"""A supply whose outputs are switched by pins and measured by a voltmeter at its output."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.pins.interface import Pins, PinsError
from drivers.supply.interface import Output, SupplyError, SupplyReading
from drivers.voltmeter.interface import Voltmeter, VoltmeterError


class SwitchedSupply:
    """A high line switches an output on. Off when it is made. Current and trips it cannot tell."""

    def __init__(self, pins: Pins, lines: Mapping[Output, str], meter: Voltmeter) -> None:
        """Raises SupplyError for an output without a line, or where a line does not obey."""
        missing = [output.value for output in Output if lines.get(output) not in pins.names]
        if missing:
            raise SupplyError(f"no line switches {' and '.join(missing)}")
        self._pins, self._lines, self._meter = pins, dict(lines), meter
        for output in Output:
            self.switch(output, False)

    def switch(self, output: Output, on: bool) -> None:
        """The line is driven either way, and read back. Raises SupplyError."""
        line = self._lines[output]
        try:
            self._pins.drive(line, on)
            follows = self._pins.read(line) == on
        except PinsError as error:
            raise SupplyError(f"{output.value}: {error}") from error
        if not follows:
            raise SupplyError(f"{output.value}: line {line} does not follow")

    async def read(self) -> SupplyReading:
        """Raises SupplyError."""
        try:
            return SupplyReading(await self._meter.read_v())
        except VoltmeterError as error:
            raise SupplyError(str(error)) from error
