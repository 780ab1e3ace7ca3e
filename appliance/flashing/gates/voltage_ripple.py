"""Gate: the ripple of the supply."""

from __future__ import annotations

from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.gate import CarGate, Judgement, failed, passed


class VoltageRipple(CarGate):
    """A mains charger pulses; a programming supply does not."""

    name = "voltage_ripple"
    question = "Is the supply smooth?"

    async def judge(self, check: CarCheck) -> Judgement:
        """No reading is a fail."""
        try:
            supply = await check.supply()
        except ConnectionError as error:
            return failed("supply_unread", technical_text=str(error))
        ripple_v, limit_v = supply.reading.ripple_v, check.job.power.window.ripple_v
        told = {"ripple_v": ripple_v, "limit_v": limit_v, "age_s": supply.age_s}
        if ripple_v <= limit_v:
            return passed("supply_ripple", source=supply.source, **told)
        return failed("supply_pulsing", source=supply.source, **told)
