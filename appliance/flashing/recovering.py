"""Finishing what was interrupted, from the journal, even when the application no longer answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import PitboxError
from appliance.contract.events import Phase
from appliance.contract.jobs import JobState
from appliance.contract.phrases import phrase
from appliance.flashing import history
from appliance.flashing.context import JobContext
from appliance.flashing.errors import (
    FINISH_TUNED,
    PUT_ORIGINAL_BACK,
    NeedsBenchError,
    TargetDamagedError,
    WayBackLostError,
    WriteInterruptedError,
    access_problem,
)
from appliance.flashing.executable import ExecutablePlan, WireWord, ask_again
from appliance.flashing.gaps import Gap, Target, filled, unknown
from appliance.flashing.gates.resuming import check_resumption, tell
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import FlashRecord, Journal, Step
from appliance.flashing.marks import NEEDS_BENCH, NOTHING_ERASED
from appliance.flashing.plan import FlashPlan
from appliance.flashing.resumption import Resumption
from appliance.flashing.retries import open_persistently
from appliance.flashing.safekeeping import Safekeeping
from appliance.flashing.session_end import let_go
from appliance.flashing.verifying import differing
from appliance.flashing.write_order import WriteOrder
from appliance.flashing.writing import WriteResult, write
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
    other: Phrase | None = None,
    before: MemoryImage | None = None,
) -> WriteResult:
    """Finish a write. Raises NeedsBenchError, WriteInterruptedError or another PitboxError.

    `other` is what a person can do instead, where the target is damaged and another is whole; `before` is
    what memory held when the write was begun, as far as that is known. Nothing of the open write changes
    before the ECU, or a person, has said that it is the one written.
    """
    if not gaps:
        order.check_target(target.sha256())
    mark_interrupted(job.journal)
    silence = await _silence(job)
    if silence is not None:
        job.journal.resume_flash(flash, flash.write_order)
        raise _unreachable(job, flash, silence) from silence
    touched = history.touched(job.journal.steps(flash.id))
    word = await ask_again(job, touched=touched)
    found = Resumption(
        flash,
        order,
        job.definition,
        job.access_definition,
        Target(target, gaps),
        touched,
        word.verdicts,
        other,
    )
    if not gaps:
        await _keep_the_way_back(job, found)
        return await write(job, _planned(job, found, word))
    found = replace(found, hope=_hope(job, found, before), known=await _as_whole_as_possible(job, found))
    try:
        if found.lost and not touched:
            raise await _never_begun(job, found, before)
        await _keep_the_way_back(job, found)
        return await write(job, _planned(job, found, word))
    finally:
        wipe(*(data for data in found.known.image.spans.values() if isinstance(data, bytearray)))


def _planned(job: JobContext, resumption: Resumption, word: WireWord) -> ExecutablePlan:
    tell(job, check_resumption(resumption))
    return ExecutablePlan(FlashPlan(resumption), word)


def _hope(job: JobContext, found: Resumption, before: MemoryImage | None) -> Phrase | None:
    """The original, where the ECU may still hold what of it the disk lost: this write did not erase that."""
    if found.order.tuned_file is None or before is None:
        return None
    begun = history.begun(job.journal.steps(found.flash.id))
    gone = any(block.place.at in begun for block in unknown(found.order.blocks, before))
    return None if gone else PUT_ORIGINAL_BACK


async def _as_whole_as_possible(job: JobContext, found: Resumption) -> Target:
    """The target with what the ECU itself still holds.

    An open write is turned to another target that is damaged where it has to be written only if it has left
    alone what is lost, and its own target is damaged too. Raises TargetDamagedError, or another PitboxError
    where nothing can be asked.
    """
    try:
        purpose = await _looking(job, found)
        await open_persistently(job, purpose)
        target = await filled(job, found.known, purpose)
    except AccessError as error:
        if found.touched:
            raise WriteInterruptedError(
                "WRITE_INTERRUPTED",
                job=job.id,
                why=error.said,
                author_text=job.access_definition.recovery.advice,
            ) from error
        raise access_problem(error, job.access_definition) from error
    finally:
        await let_go(job)
    if not target.gaps:
        found.order.check_target(target.image.sha256())
    lost = unknown(found.order.blocks, target.image)
    begun = history.begun(job.journal.steps(found.flash.id))
    if not found.as_begun and lost and (found.other or any(block.place.at in begun for block in lost)):
        raise TargetDamagedError([str(gap) for gap in target.gaps], found.other or FINISH_TUNED)
    return target


async def _keep_the_way_back(job: JobContext, found: Resumption) -> None:
    """What memory still holds of damaged files is sealed again before the write goes on.

    Where nothing was erased the application is there, and is asked for the rest; later the bootloader is,
    before each erase. Raises PitboxError.
    """
    files = Safekeeping(job, found.flash.id, found.order, (found.known.image,))
    if not files.mend(found.order.blocks) or found.touched:
        return
    purpose = await _looking(job, found)
    try:
        await open_persistently(job, purpose)
        await files.keep(found.order.blocks, purpose, touched=False)
    except WayBackLostError:
        _close(job, found)
        raise
    except AccessError as error:
        raise access_problem(error, job.access_definition) from error
    finally:
        await let_go(job)


async def _looking(job: JobContext, found: Resumption) -> Purpose:
    """Where nothing was erased the application is there, and reads what many a bootloader does not."""
    alive = not found.touched and await job.access.lifecycle.state() is EcuState.APPLICATION
    return Purpose.READ if alive else Purpose.RECOVER


async def _never_begun(job: JobContext, found: Resumption, before: MemoryImage | None) -> TargetDamagedError:
    """A write that erased nothing, and cannot be finished: closed where memory is what it was before it, as
    far as anybody knows that.

    Raises PitboxError.
    """
    lost = [str(block) for block in found.lost]
    replaces_unknown = found.order.tuned_file is None and found.as_begun
    if replaces_unknown and before is None and await _runs(job):
        return _closed(job, found, lost)
    if before is None or unknown(found.order.blocks, before) or not job.access_definition.certain:
        return TargetDamagedError(lost, found.other)
    try:
        purpose = await _looking(job, found)
        await open_persistently(job, purpose)
        strange = await differing(job, found.order.blocks, before, Phase.COMPARE, purpose)
    except AccessError as error:
        job.note("memory_unseen", error=error.said)
        return TargetDamagedError(lost, found.other)
    finally:
        await let_go(job)
    if strange:
        return TargetDamagedError(lost, found.other)
    return _closed(job, found, lost)


def _closed(job: JobContext, found: Resumption, lost: Sequence[str]) -> TargetDamagedError:
    _close(job, found)
    return TargetDamagedError(lost, None, closed=True)


def _close(job: JobContext, found: Resumption) -> None:
    """Of a write that erased nothing there is nothing to be recovered: the job goes on in another way."""
    job.journal.resume_flash(found.flash, found.flash.write_order)
    job.journal.close_flash(found.flash.id, job.id, JobState.READ_VERIFIED, NOTHING_ERASED)


async def _runs(job: JobContext) -> bool:
    """Whether the application answers: of an original on its way back nobody knows what it replaces."""
    try:
        return await job.access.lifecycle.state() is EcuState.APPLICATION
    except AccessError as error:
        job.note("memory_unseen", error=error.said)
        return False


async def _silence(job: JobContext) -> AccessError | None:
    """None when anything of the ECU answers within a few seconds, else how it does not."""
    silence: AccessError = EcuSilentError(phrase("ecu.silent"))
    for probe in range(_PROBES):
        await asyncio.sleep(_PROBE_PAUSE_S if probe else 0)
        try:
            if await job.access.lifecycle.state() is not EcuState.SILENT:
                return None
        except AccessError as error:
            job.note("trying_again", error=error.said)
            silence = error
    return silence


def _unreachable(job: JobContext, flash: FlashRecord, silence: AccessError) -> PitboxError:
    """Only an ECU that was touched, on a wire that works, and with no bootloader left, needs the bench."""
    recovery, why = job.access_definition.recovery, str(silence)
    touched = history.touched(job.journal.steps(flash.id))
    if touched and recovery.recoverability != "bootloader" and not isinstance(silence, LinkLostError):
        job.journal.close_flash(flash.id, job.id, JobState.NEEDS_BENCH, NEEDS_BENCH)
        return NeedsBenchError(job.id, job.definition, job.access_definition)
    _interrupt(job.journal, flash, why)
    if touched:
        return WriteInterruptedError(
            "WRITE_INTERRUPTED", job=job.id, why=silence.said, author_text=recovery.advice
        )
    return access_problem(silence, job.access_definition)


def _interrupt(journal: Journal, flash: FlashRecord, why: str) -> None:
    journal.move_with_step(flash.id, Step.INTERRUPTED, flash.job_id, JobState.INTERRUPTED, why)
