"""What is kept of an operation's end for the report. None of it may be the reason that an operation fails."""

from __future__ import annotations

import logging

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.flashing.journal import Journal

log = logging.getLogger("pitbox.engine")


def count_seconds(journal: Journal, job_id: str, seconds: float) -> None:
    """Add to the time the box worked on a job."""
    try:
        so_far = journal.job(job_id).detail.get("seconds")
        total = seconds + (so_far if isinstance(so_far, float) else 0.0)
        journal.note(job_id, seconds=round(total, 3))
    except PitboxError as error:
        log.warning("the seconds of job %s are not counted: %s", job_id, error.what)


def note_failure(journal: Journal, job_id: str, failure: PitboxError) -> None:
    """The job's result is now the error's code, or `needs_bench`."""
    try:
        bench = journal.job(job_id).state is JobState.NEEDS_BENCH
        journal.note(job_id, result=JobState.NEEDS_BENCH.value if bench else failure.code)
    except PitboxError as error:
        log.warning("the result of job %s is not kept: %s", job_id, error.what)
