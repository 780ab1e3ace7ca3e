"""Writes that a named person set aside: another car may be served, the same ECU may not."""

from __future__ import annotations

from appliance.contract.errors import EngineError
from appliance.contract.safety import OpenWrite
from appliance.flashing.journal import JobRecord, Journal
from appliance.flashing.safety import may_be_same_car, standing


def aside_of(journal: Journal, job: JobRecord) -> OpenWrite | None:
    """A write set aside whose ECU may be the one the job would write; another job may have begun it."""
    writes = standing(journal, job.id).open_writes
    return next((one for one in writes if one.set_aside_by and may_be_same_car(one, job)), None)


def refuse_same_ecu(journal: Journal, job: JobRecord) -> None:
    """Raises PitboxError WRITE_SET_ASIDE where the job's ECU may be half written by a write set aside."""
    found = aside_of(journal, job)
    if found is not None:
        raise EngineError("WRITE_SET_ASIDE", job=found.job, person_text=found.set_aside_by or "")


def unfinished_job(journal: Journal) -> str | None:
    """The job whose write is open, or else one whose write was set aside."""
    for flash in journal.open_flashes():
        return flash.job_id
    return next((one.job for one in standing(journal).open_writes if one.set_aside_by), None)
