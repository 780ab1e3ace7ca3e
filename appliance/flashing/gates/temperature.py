"""Gate: the temperature of the box."""

from __future__ import annotations

from appliance.contract.gates import Verdict, found
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.gate import CarGate, Judgement, passed_if

_HOTTEST_C = 75.0


class Temperature(CarGate):
    """A hot box writes nothing."""

    name = "temperature"
    question = "Is the box cool enough?"

    async def judge(self, check: CarCheck) -> Judgement:
        """Not applicable to a machine without a sensor."""
        celsius = check.conditions.temperature_c()
        if celsius is None:
            return Judgement(Verdict.NOT_APPLICABLE, (found("no_sensor"),))
        return passed_if(celsius < _HOTTEST_C, "box_temperature", celsius=celsius, limit_celsius=_HOTTEST_C)
