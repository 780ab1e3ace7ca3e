"""What a refused erase did: by memory, and by what the ECU itself says of its application."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from appliance.flashing.context import JobContext
from appliance.flashing.image import MemoryImage
from appliance.flashing.retries import open_persistently, persistently
from appliance.flashing.session_end import must_stay
from appliance.flashing.verifying import holds
from appliance.protocols.access import AccessError, Block, EcuRefusedError, EcuState, Purpose, Refusal

_LOOKS = 10
_LOOK_PAUSE_S = 1.0


async def left_alone(
    job: JobContext, blocks: Sequence[Block], before: MemoryImage | None, purpose: Purpose
) -> bool:
    """Whether a refused erase changed nothing; `before` is the memory as it was, None where nobody knows.

    No refusal tells: one that had begun may end in any. Nor does memory alone: an ECU may call its
    application invalid before the first cell is erased. Where something changed the ECU is open for
    `purpose` again; else its session may be over. Raises AccessError where it cannot be opened,
    EcuChangedError.
    """
    try:
        if before is None or not job.access_definition.certain:
            return False
        for block in blocks:
            if not await holds(job, block, before, purpose):
                return False
    except AccessError:
        return False
    if await _application_is_valid(job):
        return True
    await open_persistently(job, purpose)
    return False


async def _application_is_valid(job: JobContext) -> bool:
    """Whether the ECU accepts its memory and runs its application; without an answer it does not.

    One that does not check itself now is told by the program that answers once the session is left, unless
    it might be silent from then on.
    """
    stays = must_stay(job.journal, job.access_definition, job.id)
    if stays and not job.access_definition.judges_itself:  # nothing but a reset would tell
        return False
    try:
        await persistently(job, Purpose.WRITE, job.access.lifecycle.commit)
        return True
    except AccessError as error:
        job.note("erase_refused", error=error.said)
        if isinstance(error, EcuRefusedError) and error.refusal is Refusal.PROGRAMMING:
            return False
    if stays:
        return False
    await job.access.lifecycle.close()
    return await _application_returns(job)


async def _application_returns(job: JobContext) -> bool:
    for look in range(_LOOKS):
        await asyncio.sleep(_LOOK_PAUSE_S if look else 0.0)
        try:
            if await job.access.lifecycle.state() is EcuState.APPLICATION:
                return True
        except AccessError as error:
            job.note("trying_again", error=error.said)
    return False
