"""Letting another car be served while a write of this box is not over."""

from __future__ import annotations

import json

from appliance.contract.errors import EngineError
from appliance.contract.results import PersonsWord
from appliance.engine.context import EngineContext
from appliance.flashing.recovering import mark_interrupted


async def set_aside(box: EngineContext, job_id: str, by: str, reason: str) -> PersonsWord:
    """Take a named person's word that another car comes first; nothing is asked of any ECU.

    The write stays to be recovered, its warning stays, and its ECU stays refused for every other write; name,
    reason and time stay in the journal. Raises PitboxError NOTHING_TO_SET_ASIDE.
    """
    job, flash = box.journal.job(job_id), box.journal.last_flash(job_id)
    if flash is None or flash.outcome is not None:
        raise EngineError("NOTHING_TO_SET_ASIDE", job=job.id)
    mark_interrupted(box.journal)
    box.journal.set_aside(flash.id, json.dumps({"by": by, "reason": reason}))
    return PersonsWord(job=job_id, by=by, reason=reason, at=box.now())
