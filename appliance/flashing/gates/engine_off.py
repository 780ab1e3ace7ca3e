"""Gate: the engine."""

from __future__ import annotations

from appliance.contract.gates import Finding, Verdict, found
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.gate import CarGate, Judgement, passed, passed_if, unknown


class EngineOff(CarGate):
    """At rest, by the ECU's own word, or by a person's where it has none."""

    name = "engine_off"
    question = "Is the engine off?"
    waivable = frozenset({Verdict.UNKNOWN})
    """The own original goes back though nobody knows; an engine that turns stands in every way."""

    def applies(self, check: CarCheck) -> Finding | None:
        """Not where no program answers questions."""
        return found("engine_no_program") if check.job.access.diagnostics is None else None

    async def judge(self, check: CarCheck) -> Judgement:
        """What the ECU tells outranks every word."""
        rpm = await check.conditions.engine_speed_rpm()
        if rpm is not None:
            return passed_if(rpm == 0, "engine_speed", rpm=rpm)
        if check.request.engine_off_stated:
            return passed("engine_stated")
        if check.job.definition.kind == "gearbox":
            return Judgement(Verdict.NOT_APPLICABLE, (found("engine_gearbox"),))
        return unknown("engine_unknown")
