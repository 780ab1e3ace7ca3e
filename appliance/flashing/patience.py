"""Trying again: how long and how often the heart insists when a link or an ECU stumbles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import repeat
from typing import TypeVar

from appliance.flashing.context import JobContext
from appliance.flashing.recognising import recognise
from appliance.protocols.access import (
    AccessError,
    EcuRefusedError,
    EcuSilentError,
    LinkLostError,
    Purpose,
    Refusal,
)

Result = TypeVar("Result")

CONDITION_PAUSE_S = 2.0
MOST_CONDITION_PAUSES = 120
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 10.0, 10.0)
_LOCKOUT_PAUSE_S = 11.0
_WORTH_REPEATING = frozenset({Refusal.SEQUENCE, Refusal.SESSION_LOST, Refusal.BUSY, Refusal.LOCKED_OUT})
_CONDITIONS = frozenset({Refusal.VOLTAGE, Refusal.CONDITIONS, Refusal.BUSY})


async def persistently(job: JobContext, purpose: Purpose, action: Callable[[], Awaitable[Result]]) -> Result:
    """Run an idempotent action on an open ECU; after a stumble pause, open it again for `purpose`, repeat.

    Raises the last AccessError when patience ends or when repeating cannot help, EcuChangedError when another
    ECU answers meanwhile.
    """
    patience = _Patience(job, purpose)
    while True:
        try:
            return await action()
        except AccessError as error:
            await patience.bear(error)
            await _open(job, purpose, patience)


async def open_persistently(job: JobContext, purpose: Purpose) -> None:
    """Open the ECU, again and again with pauses. Raises the last AccessError, or EcuChangedError."""
    await _open(job, purpose, _Patience(job, purpose))


async def asked_patiently(job: JobContext, action: Callable[[], Awaitable[Result]]) -> Result:
    """Run an action that needs no open ECU, again after pauses. Raises the last AccessError."""
    patience = _Patience(job, Purpose.READ)
    while True:
        try:
            return await action()
        except AccessError as error:
            await patience.bear(error)


async def _open(job: JobContext, purpose: Purpose, patience: _Patience) -> None:
    """Whoever answers is asked for its name first: the plug may sit in another car by now."""
    while True:
        try:
            await recognise(job)
            await job.access.lifecycle.open(purpose)
            return
        except AccessError as error:
            await patience.bear(error)


class _Patience:
    """What one step may cost in repeats; opening the ECU again for it draws on the same."""

    def __init__(self, job: JobContext, purpose: Purpose) -> None:
        self._job = job
        self._purpose = purpose
        self._pauses = iter(_PAUSES_S)
        self._conditions = repeat(CONDITION_PAUSE_S, MOST_CONDITION_PAUSES)

    async def bear(self, error: AccessError) -> None:
        """Wait before the next try; raise the error where there is none."""
        pause_s = self._pause_s(error)
        if pause_s is None:
            raise error
        self._job.note(f"{error}: trying again")
        await asyncio.sleep(pause_s)

    def _pause_s(self, error: AccessError) -> float | None:
        """None where repeating cannot help. Only a half-written ECU is worth waiting for conditions."""
        if self._purpose is Purpose.RECOVER and may_change(error):
            return next(self._conditions, None)
        pause_s = next(self._pauses, None) if worth_repeating(error) else None
        return None if pause_s is None else pause_for(error, pause_s)


def worth_repeating(error: AccessError) -> bool:
    """Whether a stumble may pass by itself: silence, a lost link, a lost session, a busy ECU."""
    if isinstance(error, EcuRefusedError):
        return error.refusal in _WORTH_REPEATING
    return isinstance(error, EcuSilentError | LinkLostError)


def may_change(error: AccessError) -> bool:
    """Whether the ECU refused for a condition that people or chargers can change."""
    return isinstance(error, EcuRefusedError) and error.refusal in _CONDITIONS


def pause_for(error: AccessError, pause_s: float) -> float:
    """Seconds to wait before the next try; a lock-out takes at least 10 s (sources: uds-refusals)."""
    if isinstance(error, EcuRefusedError) and error.refusal is Refusal.LOCKED_OUT:
        return max(pause_s, _LOCKOUT_PAUSE_S)
    return pause_s
