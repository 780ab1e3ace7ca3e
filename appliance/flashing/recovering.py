"""Finishing what was interrupted, from the journal, even when the application no longer answers."""

from __future__ import annotations

import asyncio

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.flashing.context import Job
from appliance.flashing.errors import NeedsBenchError, WriteInterruptedError
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import FlashRecord, Journal, Step
from appliance.flashing.order import WriteOrder
from appliance.flashing.writing import Write, WriteResult
from appliance.protocols.access import AccessError, EcuState, Purpose

_PROBES = 6
_PROBE_PAUSE_S = 1.0


def mark_interrupted(journal: Journal) -> list[FlashRecord]:
    """At the engine's start: every open write was interrupted, by a power cut or a crash."""
    found = journal.open_flashes()
    for flash in found:
        if journal.job(flash.job_id).state is not JobState.INTERRUPTED:
            journal.move_with_step(
                flash.id, Step.INTERRUPTED, flash.job_id, JobState.INTERRUPTED, "the box restarted"
            )
    return found


async def recover(job: Job, flash: FlashRecord, order: WriteOrder, target: MemoryImage) -> WriteResult:
    """Finish a write. Raises NeedsBenchError, WriteInterruptedError or another PitboxError."""
    flash_id = job.journal.resume_flash(flash, order.to_json())
    if not await _answers(job):
        raise _unreachable(job, flash_id)
    return await Write(job, flash_id, order, target, Purpose.RECOVER).run()


async def _answers(job: Job) -> bool:
    """Whether anything of the ECU answers within a few seconds."""
    for _ in range(_PROBES):
        try:
            if await job.access.state() is not EcuState.SILENT:
                return True
        except AccessError as error:
            job.note(f"{error}: trying again")
        await asyncio.sleep(_PROBE_PAUSE_S)
    return False


def _unreachable(job: Job, flash_id: int) -> PitboxError:
    recovery = job.definition.recovery
    if recovery.recoverability == "bootloader":
        why = "the ECU does not answer"
        job.journal.move_with_step(flash_id, Step.INTERRUPTED, job.id, JobState.INTERRUPTED, why)
        return WriteInterruptedError(job.id, why, recovery.advice)
    job.journal.close_flash(flash_id, job.id, JobState.NEEDS_BENCH, "needs bench")
    return NeedsBenchError(recovery.advice)
