"""Whether an ECU is safe, derived from the journal: nobody who raises an error is asked."""

from __future__ import annotations

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import ECU_IN_DANGER, JobState
from appliance.contract.phrases import phrase
from appliance.contract.report import Word
from appliance.contract.safety import OpenWrite, Standing
from appliance.flashing.history import is_rescue, words_of
from appliance.flashing.journal import FlashRecord, JobRecord, Journal, Step
from appliance.flashing.marks import NEEDS_BENCH, NOTHING_ERASED, SET_ASIDE, SETTLED, UNFINISHED
from appliance.protocols.access import EcuIdentity

_UNPROVEN = (*UNFINISHED, NOTHING_ERASED, SETTLED)
"""Outcomes of writes whose end says nothing of what is in the ECU now."""
_RESTING = (JobState.INTERRUPTED.value, JobState.NEEDS_BENCH.value)
"""States of an open write that nobody is working on."""
_ECU_SAYS_OTHERWISE = {
    "ECU_IN_BOOTLOADER": {EcuSafety.UNTOUCHED, EcuSafety.INTACT},
    "VERIFY_FAILED": {EcuSafety.INTACT},
}
"""Errors that are themselves evidence against what the journal believes."""


def standing(journal: Journal, job_id: str | None = None, *, writing: bool = False) -> Standing:
    """How the ECU of a job stands, or with no job all that this box ever wrote.

    Another job of the same car counts as well, and so does one whose car cannot be told apart from it.
    Unless somebody is `writing`, an open write is an interrupted one.
    Raises JournalDamagedError, StorageError.
    """
    jobs = journal.jobs()
    opened = tuple(one for job in jobs if (one := _open_write(journal, job, writing)) is not None)
    job = next((one for one in jobs if one.id == job_id), None)
    here = [one for one in opened if job is None or may_be_same_car(one, job)]
    if any(one.half_written for one in here):
        return Standing(EcuSafety.HALF_WRITTEN, opened)
    if any(is_rescue(journal, one.job) for one in here):
        return Standing(EcuSafety.UNKNOWN, opened)
    return Standing(_as_last_proven(journal, job), opened)


def job_not_over(journal: Journal, definition_id: str) -> str | None:
    """A job of that definition whose write is not over. Raises JournalDamagedError, StorageError."""
    opened = standing(journal).open_writes
    return next((one.job for one in opened if one.definition == definition_id), None)


def state_of(job: JobRecord, writing: bool) -> JobState:
    """A write that nobody works on was interrupted, whether or not the journal could still be told."""
    left = not writing and job.state in ECU_IN_DANGER - {JobState.NEEDS_BENCH}
    return JobState.INTERRUPTED if left else job.state


def tell_safety(
    error: PitboxError,
    journal: Journal,
    job_id: str | None,
    *,
    journal_doubted: bool = False,
    writing: bool = False,
) -> None:
    """Fill in whether the ECU is safe; the details name every half-written one and its way on.

    `journal_doubted` is for whoever acts because the journal may have forgotten something.
    """
    try:
        found = standing(journal, job_id, writing=writing)
    except PitboxError:  # told by the error itself, or by the next command
        error.ecu = EcuSafety.UNKNOWN
        return
    doubted = _ECU_SAYS_OTHERWISE.get(error.code, set())
    if journal_doubted:
        doubted = {EcuSafety.UNTOUCHED, EcuSafety.INTACT}
    error.ecu = EcuSafety.UNKNOWN if found.ecu in doubted else found.ecu
    error.add(
        *(
            _sentence(one)
            for one in found.open_writes
            if one.half_written and not (one.job == job_id and "pitbox recover" in error.do_now)
        )
    )


def _open_write(journal: Journal, job: JobRecord, writing: bool) -> OpenWrite | None:
    """The job's write that is not over: open, or closed because only the bench can finish it."""
    flash = next(iter(journal.flashes(job.id)), None)
    if flash is None or flash.outcome not in UNFINISHED:
        return None
    word = _word(journal, flash)
    bench = job.state is JobState.NEEDS_BENCH or flash.outcome == NEEDS_BENCH
    return OpenWrite(
        job.id,
        job.definition_id,
        job.identity.vin if job.identity else None,
        job.identity.hw if job.identity else None,
        state_of(job, writing).value,
        half_written=bench or _erased(journal, flash),
        set_aside_by=word["by"] if word else None,
        set_aside_reason=word["reason"] if word else None,
        serial=job.identity.serial if job.identity else None,
        chip_id=job.identity.chip_id if job.identity else None,
    )


def _word(journal: Journal, flash: FlashRecord) -> Word | None:
    """The newest word that set it aside; a journal made anew from its record does not know it any more."""
    if flash.outcome != SET_ASIDE:
        return None
    forgotten = Word(by="somebody", reason="the journal lost who, and why", at=0.0)
    return next(reversed(words_of(journal, flash)), forgotten)


def _erased(journal: Journal, flash: FlashRecord) -> bool:
    """Whether an erase was begun; its intent is durable before the ECU hears of it."""
    return any(step.step is Step.ERASE_INTENT for step in journal.steps(flash.id))


def _as_last_proven(journal: Journal, job: JobRecord | None) -> EcuSafety:
    """Intact once a write was proven; nothing was written where every write ended before its first erase."""
    for flash in journal.flashes(None if job is None else job.id):
        if flash.outcome == SETTLED and job is not None:  # a word is no proof
            return EcuSafety.UNKNOWN
        if flash.outcome not in _UNPROVEN:
            return EcuSafety.INTACT
    return EcuSafety.UNTOUCHED


def may_be_same_car(write: OpenWrite, job: JobRecord) -> bool:
    """Whether an open write's ECU may be the job's: not only where something that both know differs."""
    if write.job == job.id:
        return True
    identity = job.identity or EcuIdentity()
    pairs = [
        (write.definition, job.definition_id),
        (write.vin, identity.vin),
        (write.hw, identity.hw),
        (write.serial, identity.serial),
        (write.chip_id, identity.chip_id),
    ]
    return not any(None not in pair and pair[0] != pair[1] for pair in pairs)


def _sentence(write: OpenWrite) -> Phrase:
    car = phrase("car.untold", definition=write.definition or "")
    if write.vin:
        car = phrase("car.vin", vin=write.vin)
    if write.state not in _RESTING:
        return phrase("open_write.now", job=write.job, car=car)
    if write.state == JobState.NEEDS_BENCH.value:
        return phrase("open_write.bench", job=write.job, car=car)
    return phrase("open_write.half_written", job=write.job, car=car)
