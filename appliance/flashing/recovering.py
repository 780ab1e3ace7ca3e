"""Finishing what was interrupted, from the journal, even when the application no longer answers."""

from __future__ import annotations

import asyncio

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.flashing import history
from appliance.flashing.context import JobContext
from appliance.flashing.errors import (
    NeedsBenchError,
    TargetDamagedError,
    WriteInterruptedError,
    access_problem,
)
from appliance.flashing.gaps import Gap, Target, filled, unknown
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import FlashRecord, Journal, Step
from appliance.flashing.marks import NEEDS_BENCH
from appliance.flashing.recognising import require_very_ecu
from appliance.flashing.retries import asked_patiently, open_persistently
from appliance.flashing.session_end import let_go
from appliance.flashing.write_order import WriteOrder
from appliance.flashing.writing import Write, WriteResult
from appliance.protocols.access import AccessError, EcuSilentError, EcuState, LinkLostError, Purpose
from appliance.vault.contents import wipe

_PROBES = 6
_PROBE_PAUSE_S = 1.0


def mark_interrupted(journal: Journal) -> list[FlashRecord]:
    """With no write running, every open one was interrupted: by a power cut, a crash or a full disk."""
    found = journal.open_flashes()
    for flash in found:
        if journal.job(flash.job_id).state is not JobState.INTERRUPTED:
            _interrupt(journal, flash, "the box stopped without a word")
    return found


async def recover(
    job: JobContext,
    flash: FlashRecord,
    order: WriteOrder,
    target: MemoryImage,
    gaps: tuple[Gap, ...] = (),
    other: str | None = None,
) -> WriteResult:
    """Finish a write. Raises NeedsBenchError, WriteInterruptedError or another PitboxError.

    `other` is what a person can do instead, where the target is damaged and another is whole. Nothing of the
    open write changes before the ECU, or a person, has said that it is the one written.
    """
    if not gaps:
        order.check_target(target.sha256())
    mark_interrupted(job.journal)
    silence = await _silence(job)
    if silence is not None:
        job.journal.resume_flash(flash, flash.write_order)
        raise _unreachable(job, flash, silence) from silence
    await _know_the_ecu(job)
    if not gaps:
        return await _finish(job, flash, order, Target(target))
    known = await _as_whole_as_possible(job, flash, order, Target(target, gaps), other)
    try:
        return await _finish(job, flash, order, known, other)
    finally:
        wipe(*(data for data in known.image.spans.values() if isinstance(data, bytearray)))


async def _finish(
    job: JobContext, flash: FlashRecord, order: WriteOrder, target: Target, other: str | None = None
) -> WriteResult:
    flash_id = job.journal.resume_flash(flash, flash.write_order if _is_of(flash, order) else order.to_json())
    return await Write(job, flash_id, order, target, Purpose.RECOVER, other=other).run()


def _is_of(flash: FlashRecord, order: WriteOrder) -> bool:
    """Whether the write goes on with what it was begun for, in whatever words an earlier build put it."""
    return WriteOrder.from_json(flash.write_order) == order


async def _as_whole_as_possible(
    job: JobContext, flash: FlashRecord, order: WriteOrder, target: Target, other: str | None
) -> Target:
    """The target with what the ECU itself still holds.

    An open write is turned to another target that is damaged where it has to be written only if it has left
    alone what is lost, and its own target is damaged too. Raises TargetDamagedError, or another PitboxError
    where nothing can be asked.
    """
    steps = job.journal.steps(flash.id)
    try:
        await open_persistently(job, Purpose.RECOVER)
        target = await filled(job, target, Purpose.RECOVER)
    except AccessError as error:
        if history.touched(steps):
            raise WriteInterruptedError(job.id, str(error), job.access_definition.recovery.advice) from error
        raise access_problem(error) from error
    finally:
        await let_go(job)
    if not target.gaps:
        order.check_target(target.image.sha256())
    lost = unknown(order.blocks, target.image)
    begun = history.begun(steps)
    if not _is_of(flash, order) and lost and (other or any(block.place.at in begun for block in lost)):
        raise TargetDamagedError([str(gap) for gap in target.gaps], other)
    return target


async def _know_the_ecu(job: JobContext) -> None:
    """Raises EcuChangedError, CarUnconfirmedError, or another PitboxError where nothing can be asked."""
    try:
        await asked_patiently(job, lambda: require_very_ecu(job))
    except AccessError as error:
        raise access_problem(error) from error


async def _silence(job: JobContext) -> AccessError | None:
    """None when anything of the ECU answers within a few seconds, else how it does not."""
    silence: AccessError = EcuSilentError("the ECU does not answer")
    for probe in range(_PROBES):
        await asyncio.sleep(_PROBE_PAUSE_S if probe else 0)
        try:
            if await job.access.lifecycle.state() is not EcuState.SILENT:
                return None
        except AccessError as error:
            job.note("trying_again", error=str(error))
            silence = error
    return silence


def _unreachable(job: JobContext, flash: FlashRecord, silence: AccessError) -> PitboxError:
    """Only an ECU that was touched, on a wire that works, and with no bootloader left, needs the bench."""
    recovery, why = job.access_definition.recovery, str(silence)
    touched = history.touched(job.journal.steps(flash.id))
    if touched and recovery.recoverability != "bootloader" and not isinstance(silence, LinkLostError):
        job.journal.close_flash(flash.id, job.id, JobState.NEEDS_BENCH, NEEDS_BENCH)
        return NeedsBenchError(recovery.advice)
    _interrupt(job.journal, flash, why)
    return WriteInterruptedError(job.id, why, recovery.advice) if touched else access_problem(silence)


def _interrupt(journal: Journal, flash: FlashRecord, why: str) -> None:
    journal.move_with_step(flash.id, Step.INTERRUPTED, flash.job_id, JobState.INTERRUPTED, why)
