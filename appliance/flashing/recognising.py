"""Asking the ECU who it is, and refusing any other than the job's."""

from __future__ import annotations

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.flashing.context import JobContext
from appliance.flashing.errors import CarUnconfirmedError, EcuChangedError
from appliance.flashing.same_ecu import OF_ITS_KIND, OF_ONE_ECU, Likeness, compare
from appliance.protocols.access import EcuIdentity, told_identity

_ASKED = 3
"""Answers get lost, and one that names another ECU must repeat itself."""


async def recognise(job: JobContext) -> Likeness:
    """Ask the ECU who it is. Raises EcuChangedError for another one than the job's, and AccessError."""
    known = meant(job)
    worth_asking_again = any(getattr(known, name) is not None for name in OF_ONE_ECU)
    for _ in range(_ASKED):
        likeness = compare(await told_identity(job.access), known)
        if likeness.proven or not (worth_asking_again or likeness.other):
            break
    job.car.likeness, job.car.doubtful = likeness, not likeness.proven
    if likeness.other:
        raise EcuChangedError(_differences(likeness, known))
    return likeness


def meant(job: JobContext) -> EcuIdentity:
    """What is known of the ECU that must answer. Raises PitboxError where there is no such job."""
    return job.car.meant or job.journal.job(job.id).identity or EcuIdentity()


async def require_very_ecu(job: JobContext) -> None:
    """As `recognise`; and raises CarUnconfirmedError where the ECU cannot say it and no person has."""
    likeness = await recognise(job)
    if not likeness.proven and not job.car.confirmed:
        raise unconfirmed(job)
    job.car.doubtful = False


def unconfirmed(job: JobContext) -> CarUnconfirmedError:
    """The error for an ECU that told too little, with what a person has to give to confirm the car."""
    key = "CAR_UNCONFIRMED.by_job" if meant(job).vin is None else "CAR_UNCONFIRMED"
    return CarUnconfirmedError(key, points=told_of(job.car.likeness.told))


def _differences(likeness: Likeness, known: EcuIdentity) -> list[Phrase]:
    return [
        phrase(
            "identity.differs",
            field=name.upper(),
            now=str(getattr(likeness.told, name)),
            known=str(getattr(known, name)),
        )
        for name in likeness.strange
    ]


def told_of(told: EcuIdentity) -> list[Phrase]:
    """What the ECU told, for a person to judge."""
    names = (*OF_ITS_KIND, *(name for name in OF_ONE_ECU if name != "chip_id" or told.chip_id))
    return [_told_as(name.upper(), getattr(told, name)) for name in names]


def _told_as(field: str, value: str | None) -> Phrase:
    return (
        phrase("identity.told", field=field, value=value) if value else phrase("identity.untold", field=field)
    )
