"""INA226 as an ammeter: the voltage over a shunt in the bench supply's feed."""

from __future__ import annotations

from pathlib import Path

from drivers.ammeter.interface import AmmeterError
from drivers.voltmeter.ina226 import Ina226
from drivers.voltmeter.interface import VoltmeterError


class Ina226Ammeter:
    """One chip with its shunt, opened at once so that a missing meter is found before a job begins."""

    def __init__(self, device: Path, address: int, shunt_ohm: float) -> None:
        """Amperes are the voltage over the shunt by its resistance. Raises AmmeterError, ValueError."""
        if not 0 < shunt_ohm < 1:
            raise ValueError(f"a shunt of {shunt_ohm:g} ohm is none")
        self._shunt_ohm = shunt_ohm
        try:
            self._chip = Ina226(device, address)
        except VoltmeterError as error:
            raise AmmeterError(str(error)) from error

    async def read_a(self) -> float:
        """One reading in amperes. Raises AmmeterError, also for a current beyond the chip's range."""
        try:
            return await self._chip.read_shunt_v() / self._shunt_ohm
        except VoltmeterError as error:
            raise AmmeterError(str(error)) from error

    def close(self) -> None:
        """Let go of the I2C bus."""
        self._chip.close()
