"""What is measured at the supply of an ECU on the bench, judged, and what it means in words."""

from __future__ import annotations

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
from appliance.definitions.supply_steps import CheckGround, IgnitionOn, SupplyOn
from drivers.supply.interface import SupplyReading

_SHORTED_V = 0.3
"""Less than any diode lets stand at the probe."""


class EntryError(EngineError):
    """A step of the entry was not done."""


def misfit(step: SupplyOn | IgnitionOn, reading: SupplyReading, *, least: bool = False) -> bool:
    """Whether something is outside the step's window.

    The `least` current counts when the output is switched on: a controller in reset draws next to none.
    """
    return not _in_volts(step, reading) or _too_much(step, reading) or (least and _too_little(step, reading))


def supply_problem(step: SupplyOn | IgnitionOn, reading: SupplyReading) -> EntryError:
    """The error for a reading that does not fit the step."""
    if not _in_volts(step, reading):
        return EntryError("SUPPLY_OUT_OF_WINDOW", volts=reading.volts, step=step.told)
    if _too_much(step, reading):
        if isinstance(step, SupplyOn):
            return ignition_stuck(reading, step.told)
        return EntryError("CURRENT_TOO_HIGH", amps=reading.amps, step=step.told)
    code = "ECU_DRAWS_NOTHING" if isinstance(step, SupplyOn) else "IGNITION_DRAWS_NOTHING"
    return EntryError(code, amps=reading.amps, step=step.told)


def ignition_stuck(reading: SupplyReading, step: Phrase | None = None) -> EntryError:
    """More is drawn than an ECU takes whose ignition is off."""
    return EntryError("IGNITION_STUCK", amps=reading.amps, step=step or phrase("step.ignition_off"))


def tripped() -> EntryError:
    """The supply has switched itself off."""
    return EntryError("SUPPLY_TRIPPED")


def stays_on(reading: SupplyReading) -> EntryError:
    """Something is at an output that is switched off."""
    return EntryError("SUPPLY_STAYS_ON", measured=shown(reading))


def circuit_problem(step: CheckGround, volts: float) -> EntryError | None:
    """What the probe found on its way through supply wire, controller and ground; None if all is well."""
    measured = phrase("step.probed", volts=volts)
    if volts > step.max_v:
        return EntryError("GROUND_MISSING", measured=measured)
    if volts >= step.min_v:
        return None
    if volts < _SHORTED_V:
        return EntryError("SUPPLY_SHORTED", measured=measured)
    return EntryError("POLARITY_WRONG", measured=measured)


def shown(reading: SupplyReading) -> Phrase:
    """Volts and amperes."""
    return phrase("step.measured", volts=reading.volts, amps=reading.amps)


def _in_volts(step: SupplyOn | IgnitionOn, reading: SupplyReading) -> bool:
    return step.min_v <= reading.volts <= step.max_v


def _too_much(step: SupplyOn | IgnitionOn, reading: SupplyReading) -> bool:
    return step.max_a is not None and reading.amps > step.max_a


def _too_little(step: SupplyOn | IgnitionOn, reading: SupplyReading) -> bool:
    return step.min_a is not None and reading.amps < step.min_a
