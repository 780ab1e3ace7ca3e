"""What to do when a block write stumbles: retry rules per refusal (facts sheet, 2.3)."""

from __future__ import annotations

import asyncio

from appliance.flashing.context import Job
from appliance.flashing.patience import open_persistently, pause_for, worth_repeating
from appliance.protocols.access import AccessError, EcuRefusedError, Purpose, Refusal

_MOST_FAILURES = 3
_MOST_LINK_LOSSES = 8
_MOST_WAITS = 120
_WAIT_S = 2.0
_PASSING = frozenset({Refusal.VOLTAGE, Refusal.CONDITIONS, Refusal.BUSY})


class Stumbles:
    """Counts the stumbles of one block, and brings the ECU back to where the block can be started again."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._failures = 0
        self._losses = 0
        self._waits = 0

    async def recover_from(self, error: AccessError, *, touched: bool) -> None:
        """Return when the block may be tried again; raise the error when it may not.

        Before anything was erased a condition stops the job (the technician is told); after it the box waits.
        """
        if isinstance(error, EcuRefusedError) and not touched and error.refusal is not Refusal.SEQUENCE:
            raise error
        self._count(error)
        self._job.note(f"{error}: starting this block again")
        if isinstance(error, EcuRefusedError) and error.refusal in _PASSING:
            await asyncio.sleep(_WAIT_S)
            return
        await asyncio.sleep(pause_for(error, 0.2 * (1 + self._losses)))
        await open_persistently(self._job, Purpose.RECOVER)

    def _count(self, error: AccessError) -> None:
        if isinstance(error, EcuRefusedError) and error.refusal in _PASSING:
            self._waits += 1
        elif worth_repeating(error):
            self._losses += 1
        else:
            self._failures += 1
        if self._failures >= _MOST_FAILURES or self._losses > _MOST_LINK_LOSSES or self._waits > _MOST_WAITS:
            raise error
