"""A person's word that the plug sits in the right car, where the ECU itself cannot say it."""

from __future__ import annotations

from appliance.contract.errors import EngineError, PitboxError
from appliance.engine.context import EngineContext
from appliance.flashing.journal import JobRecord


def confirmed(box: EngineContext, job: JobRecord, named: str | None) -> bool:
    """Whether a person named the job's car: by its VIN, or without one by the job's or its original's id.

    Recorded in the journal. Raises PitboxError CAR_MISNAMED for any other name.
    """
    if named is None:
        return False
    vin = job.identity.vin if job.identity else None
    right = [vin] if vin else [job.id, job.original_file]
    if not any(same_name(named, one) for one in right):
        raise misnamed(job.id)
    known = job.detail.get("car_confirmed")
    word = {"named": named, "at": box.now()}
    box.journal.note(job.id, car_confirmed=[*(known if isinstance(known, list) else []), word])
    return True


def same_name(named: str, right: str | None) -> bool:
    """Whether a person wrote that VIN or id, in whatever case."""
    return right is not None and named.strip().upper() == right.strip().upper()


def misnamed(job_id: str) -> PitboxError:
    """The error for the name of another car."""
    return EngineError("CAR_MISNAMED", job=job_id)
