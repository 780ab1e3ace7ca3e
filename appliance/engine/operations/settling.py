"""Ending the warning of an ECU that was taken to the bench and does not come back to this box."""

from __future__ import annotations

from appliance.contract.errors import EngineError
from appliance.contract.jobs import JobState
from appliance.contract.results import PersonsWord
from appliance.engine.context import EngineContext
from appliance.flashing.borrowed_access import give_back
from appliance.flashing.marks import NEEDS_BENCH, SETTLED


async def settle(box: EngineContext, job_id: str, by: str, reason: str) -> PersonsWord:
    """Take a named person's word that the ECU of a benched job was repaired or replaced elsewhere.

    Nothing is asked of any ECU and nothing is proven; name, reason and time stay in the journal. Raises
    PitboxError NOTHING_TO_SETTLE for every other job: an open write can be recovered, and must be.
    """
    job, flash = box.journal.job(job_id), box.journal.last_flash(job_id)
    if job.state is not JobState.NEEDS_BENCH or flash is None or flash.outcome != NEEDS_BENCH:
        unfinished = flash is not None and flash.outcome is None
        raise EngineError("NOTHING_TO_SETTLE.open" if unfinished else "NOTHING_TO_SETTLE", job=job_id)
    at = box.now()
    word = {"by": by, "reason": reason, "at": at}
    known = job.detail.get("settled")
    box.journal.note(job_id, result="settled", settled=[*(known if isinstance(known, list) else []), word])
    box.journal.close_flash(flash.id, job_id, JobState.READ_VERIFIED, SETTLED)
    give_back(box.journal, job_id)
    return PersonsWord(job=job_id, by=by, reason=reason, at=at)
