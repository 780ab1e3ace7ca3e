"""Gate: the drift of the supply."""

from __future__ import annotations

from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.gate import CarGate, Judgement, failed, passed_if

_FALL_V_PER_S = 0.02
"""Mean drift over the steadiness window that still counts as steady."""


class VoltageSteady(CarGate):
    """A battery that sinks will not last."""

    name = "voltage_steady"
    question = "Does the supply stay where it is?"

    async def judge(self, check: CarCheck) -> Judgement:
        """No reading is a fail."""
        try:
            supply = await check.supply()
        except ConnectionError as error:
            return failed("supply_unread", technical_text=str(error))
        drift = supply.reading.drift_v_per_s
        return passed_if(
            abs(drift) <= _FALL_V_PER_S,
            "supply_drift",
            v_per_minute=drift * 60,
            age_s=supply.age_s,
            source=supply.source,
        )
