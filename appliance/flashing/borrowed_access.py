"""The access that is a job's own, while a write of it goes over another one."""

from __future__ import annotations

from appliance.flashing.journal import JobRecord, Journal
from appliance.flashing.marks import UNFINISHED

_OWN = "own_access"


def borrow(journal: Journal, job: JobRecord, name: str) -> None:
    """The job takes the access of that name until the write that wants it is over. One commit."""
    known = job.detail.get(_OWN)
    own = known if isinstance(known, dict) else {"name": job.detail.get("access")}
    journal.note(job.id, access=name, **{_OWN: own})


def give_back(journal: Journal, job_id: str) -> None:
    """The job's own again, unless a write over the other is not over; nothing where none was borrowed."""
    own = journal.job(job_id).detail.get(_OWN)
    if not isinstance(own, dict):
        return
    flash = journal.last_flash(job_id)
    if flash is None or flash.outcome not in UNFINISHED:
        journal.note(job_id, access=own.get("name"), **{_OWN: None})
