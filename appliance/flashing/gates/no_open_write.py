"""Gate: writes that did not come to their end."""

from __future__ import annotations

from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.gate import CarGate, Judgement, failed, passed
from appliance.flashing.set_aside import aside_of


class NoOpenWrite(CarGate):
    """One ECU at a time; one that was set aside is in the way of its own ECU alone."""

    name = "no_open_write"
    question = "Is no other write open on this box?"

    async def judge(self, check: CarCheck) -> Judgement:
        """By the journal."""
        journal = check.job.journal
        others = journal.open_flashes()
        if others:
            return failed("write_open", job=others[0].job_id)
        aside = aside_of(journal, journal.job(check.job.id))
        if aside is not None:
            return failed("write_aside", job=aside.job, by=str(aside.set_aside_by))
        return passed("write_none")
