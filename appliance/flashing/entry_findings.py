"""What is measured at the supply of an ECU on the bench, judged, and what it means in words."""

from __future__ import annotations

from appliance.contract.errors import PitboxError
from appliance.definitions.supply_steps import CheckGround, IgnitionOn, SupplyOn
from drivers.supply.interface import SupplyReading

_SHORTED_V = 0.3
"""Less than any diode lets stand at the probe."""


class EntryError(PitboxError):
    """A step of the entry was not done."""


def misfit(step: SupplyOn | IgnitionOn, reading: SupplyReading, *, least: bool = False) -> bool:
    """Whether something is outside the step's window.

    The `least` current counts when the output is switched on: a controller in reset draws next to none.
    """
    return not _in_volts(step, reading) or _too_much(step, reading) or (least and _too_little(step, reading))


def supply_problem(step: SupplyOn | IgnitionOn, reading: SupplyReading) -> EntryError:
    """The error for a reading that does not fit the step."""
    if not _in_volts(step, reading):
        return EntryError(
            "SUPPLY_OUT_OF_WINDOW",
            f"{reading.volts:.1f} V measured with {step.told}",
            do_now="Check the supply's setting and its current limit.",
        )
    if _too_much(step, reading):
        if isinstance(step, SupplyOn):
            return ignition_stuck(reading, step.told)
        return EntryError(
            "CURRENT_TOO_HIGH",
            f"{reading.amps:.2f} A measured with {step.told}",
            do_now="A wire is in the wrong place, or the ECU is damaged: check the wiring before it is "
            "switched on again.",
        )
    return EntryError(
        "ECU_DRAWS_NOTHING" if isinstance(step, SupplyOn) else "IGNITION_DRAWS_NOTHING",
        f"{reading.amps:.2f} A measured with {step.told}",
        do_now="The ECU does not take its supply: check the wires of supply, ignition and ground for one "
        "that is open or in the wrong place, then the ECU's supply pins.",
    )


def ignition_stuck(reading: SupplyReading, told: str = "ignition off") -> EntryError:
    """More is drawn than an ECU takes whose ignition is off."""
    return EntryError(
        "IGNITION_STUCK",
        f"{reading.amps:.2f} A measured with {told}, and the ignition is off",
        do_now="The ignition line or its wire is stuck at the supply, or a wire is in the wrong place: take "
        "the ECU off the bench, then check the switch of the ignition and the wiring.",
    )


def tripped() -> EntryError:
    """The supply has switched itself off."""
    return EntryError(
        "SUPPLY_TRIPPED",
        "the supply's current limit has switched it off",
        do_now="A wire is shorted, or supply and ground are swapped: check the wiring from ground on before "
        "it is switched on again.",
    )


def stays_on(reading: SupplyReading) -> EntryError:
    """Something is at an output that is switched off."""
    return EntryError(
        "SUPPLY_STAYS_ON",
        f"the supply is switched off, and {shown(reading)} is still at its output",
        do_now="Take the controller off the bench by hand, then check the supply's switch.",
    )


def circuit_problem(step: CheckGround, volts: float) -> EntryError | None:
    """What the probe found on its way through supply wire, controller and ground; None if all is well."""
    measured = f"{volts:.1f} V at the probe"
    if volts > step.max_v:
        return EntryError(
            "GROUND_MISSING",
            f"{measured}: no current finds its way from supply to ground",
            do_now="The ground wire or the supply wire is open or in the wrong place. Nothing was switched "
            "on: an ECU without ground would be powered through its other pins. Check ground first.",
        )
    if volts >= step.min_v:
        return None
    if volts < _SHORTED_V:
        return EntryError(
            "SUPPLY_SHORTED",
            f"{measured}: the supply wire is shorted to ground",
            do_now="Nothing was switched on. Look for the wire that touches another, then start again.",
        )
    return EntryError(
        "POLARITY_WRONG",
        f"{measured}: supply and ground are the wrong way round",
        do_now="Nothing was switched on. Exchange the wires of supply and ground, then start again.",
    )


def shown(reading: SupplyReading) -> str:
    """Volts and amperes, in words."""
    return f"{reading.volts:.1f} V, {reading.amps:.2f} A"


def _in_volts(step: SupplyOn | IgnitionOn, reading: SupplyReading) -> bool:
    return step.min_v <= reading.volts <= step.max_v


def _too_much(step: SupplyOn | IgnitionOn, reading: SupplyReading) -> bool:
    return step.max_a is not None and reading.amps > step.max_a


def _too_little(step: SupplyOn | IgnitionOn, reading: SupplyReading) -> bool:
    return step.min_a is not None and reading.amps < step.min_a
