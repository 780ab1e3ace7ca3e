"""Gate: writes that did not come to their end."""

from __future__ import annotations

from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.gate import CarGate, Judgement, failed, passed


class NoOpenWrite(CarGate):
    """One ECU at a time."""

    name = "no_open_write"
    question = "Is no other write open on this box?"

    async def judge(self, check: CarCheck) -> Judgement:
        """By the journal."""
        others = check.job.journal.open_flashes()
        return failed("write_open", job=others[0].job_id) if others else passed("write_none")
