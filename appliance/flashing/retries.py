"""Trying again, by the retry policy: every try of an ECU that stumbles asks first who answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from appliance.flashing.context import JobContext
from appliance.flashing.recognising import recognise
from appliance.flashing.retry_policy import (
    ASKED,
    ASKED_HALF_WRITTEN,
    BLOCK,
    BLOCK_STILL_ERASED,
    FIRST_BLOCK,
    MOST_HOLDS,
    Budget,
    Policy,
    Stumble,
    stumble_of,
)
from appliance.protocols.access import AccessError, EcuRefusedError, NotBegunError, Purpose

Result = TypeVar("Result")


async def persistently(job: JobContext, purpose: Purpose, action: Callable[[], Awaitable[Result]]) -> Result:
    """Run an idempotent action on an open ECU; after a stumble pause, open it again for `purpose`, repeat.

    Raises the last AccessError when the policy ends it, EcuChangedError when another ECU answers meanwhile.
    """
    budget = Budget()
    while True:
        try:
            return await action()
        except AccessError as error:
            await _pause(job, budget.pause_s(error, _asked(purpose)), "trying_again", error)
            await _open(job, purpose, budget)


async def open_persistently(job: JobContext, purpose: Purpose) -> None:
    """Open the ECU, again and again with pauses. Raises the last AccessError, or EcuChangedError."""
    await _open(job, purpose, Budget())


async def asked_patiently(job: JobContext, action: Callable[[], Awaitable[Result]]) -> Result:
    """Run an action that needs no open ECU, again after pauses. Raises the last AccessError."""
    budget = Budget()
    while True:
        try:
            return await action()
        except AccessError as error:
            await _pause(job, budget.pause_s(error, ASKED), "trying_again", error)


class BlockRetries:
    """The stumbles of one block, and the way back to where it can be started again."""

    def __init__(self, job: JobContext) -> None:
        self._job = job
        self._budget = Budget()
        self._holds = 0

    async def start_again(self, error: AccessError, purpose: Purpose, *, touched: bool) -> None:
        """Return when the block may be tried again; raise the error when it may not."""
        policy = _of_block(error, touched)
        pause_s = self._budget.pause_s(error, policy)
        self._holds = 0
        await _pause(self._job, pause_s, "block_again", error)
        if stumble_of(error, policy.busy) is not Stumble.CONDITION:
            await _open(self._job, purpose, self._budget)

    async def hold(self, refusal: EcuRefusedError) -> None:
        """Wait where a condition stopped a block on its way: it goes on at the same piece, without an erase.

        Raises the refusal where waiting cannot help, or has not for long enough.
        """
        self._holds += 1
        changes = stumble_of(refusal, BLOCK_STILL_ERASED.busy) is Stumble.CONDITION
        if not changes or self._holds > MOST_HOLDS:
            raise refusal
        pause_s = self._budget.pause_s(refusal, BLOCK_STILL_ERASED)
        await self._job.power.wait_until_good(may_go_blind=True)
        await _pause(self._job, pause_s, "block_held", refusal)


def _of_block(error: AccessError, touched: bool) -> Policy:
    if not touched:
        return FIRST_BLOCK
    return BLOCK_STILL_ERASED if isinstance(error, NotBegunError) else BLOCK


def _asked(purpose: Purpose) -> Policy:
    return ASKED_HALF_WRITTEN if purpose is Purpose.RECOVER else ASKED


async def _open(job: JobContext, purpose: Purpose, budget: Budget) -> None:
    """Whoever answers is asked for its name first: the plug may sit in another car by now."""
    while True:
        try:
            await recognise(job)
            await job.access.lifecycle.open(purpose)
            return
        except AccessError as error:
            await _pause(job, budget.pause_s(error, _asked(purpose)), "trying_again", error)


async def _pause(job: JobContext, pause_s: float, why: str, error: AccessError) -> None:
    job.note(why, error=error.said)
    await asyncio.sleep(pause_s)
