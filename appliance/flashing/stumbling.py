"""What to do when a block write stumbles: retry rules per refusal (sources: uds-refusals)."""

from __future__ import annotations

import asyncio

from appliance.flashing.context import JobContext
from appliance.flashing.patience import (
    CONDITION_PAUSE_S,
    MOST_CONDITION_PAUSES,
    may_change,
    open_persistently,
    pause_for,
    worth_repeating,
)
from appliance.protocols.access import AccessError, EcuRefusedError, NotBegunError, Purpose, Refusal

_MOST_FAILURES = 3
_MOST_LOSSES = 8
_PAUSES_BEFORE_ERASING_S = (2.0, 2.0, 4.0, 8.0, 16.0, *(30.0,) * 7)
"""As long in all as the box waits for a condition, with fewer erases: each wears the flash, if it erases."""
_HOLDS_PER_TRY = 30
"""So often in one try of a block, a minute long, before it is taken for an ECU that has given the block up
and says so in the wrong words. Together with the other waits they are bounded for the block."""
_RESTART_THE_BLOCK = frozenset({Refusal.SEQUENCE, Refusal.SESSION_LOST})


class Stumbles:
    """Counts the stumbles of one block, and brings the ECU back to where the block can be started again."""

    def __init__(self, job: JobContext) -> None:
        self._job = job
        self._failures = 0
        self._losses = 0
        self._waits = 0
        self._holds = 0
        self._pauses_s = iter(_PAUSES_BEFORE_ERASING_S)

    async def recover_from(self, error: AccessError, purpose: Purpose, *, touched: bool) -> None:
        """Return when the block may be tried again; raise the error when it may not.

        Before anything was erased a condition stops the job (the technician is told); after it the box waits.
        """
        if isinstance(error, EcuRefusedError) and not touched and error.refusal not in _RESTART_THE_BLOCK:
            raise error
        self._count(error)
        self._holds = 0
        self._job.note(f"{error}: starting this block again")
        if may_change(error):
            await asyncio.sleep(self._condition_pause_s(error))
            return
        await asyncio.sleep(pause_for(error, 0.2 * (1 + self._losses)))
        await open_persistently(self._job, purpose)

    async def hold(self, refusal: EcuRefusedError) -> None:
        """Wait where a condition stopped a block on its way: it goes on at the same piece, without an erase.

        Raises the refusal where waiting cannot help, or has not for long enough.
        """
        self._holds += 1
        if not may_change(refusal) or self._holds > _HOLDS_PER_TRY:
            raise refusal
        self._count(refusal)
        self._job.note(f"{refusal}: waiting to go on")
        await self._job.power.wait_until_good(may_go_blind=True)
        await asyncio.sleep(CONDITION_PAUSE_S)

    def _condition_pause_s(self, error: AccessError) -> float:
        """Raises the error where the block would have to be erased once too often."""
        if isinstance(error, NotBegunError):
            return CONDITION_PAUSE_S
        pause_s = next(self._pauses_s, None)
        if pause_s is None:
            raise error
        return pause_s

    def _count(self, error: AccessError) -> None:
        if may_change(error):
            self._waits += 1
        elif worth_repeating(error):
            self._losses += 1
        else:
            self._failures += 1
        if (
            self._failures >= _MOST_FAILURES
            or self._losses > _MOST_LOSSES
            or self._waits > MOST_CONDITION_PAUSES
        ):
            raise error
