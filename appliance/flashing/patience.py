"""Trying again: how long and how often the heart insists when a link or an ECU stumbles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from appliance.flashing.context import Job
from appliance.protocols.access import (
    AccessError,
    EcuRefusedError,
    EcuSilentError,
    LinkLostError,
    Purpose,
    Refusal,
)

Result = TypeVar("Result")

_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 10.0, 10.0)
_LOCKOUT_PAUSE_S = 11.0
_WORTH_REPEATING = frozenset({Refusal.SEQUENCE, Refusal.SESSION_LOST, Refusal.BUSY, Refusal.LOCKED_OUT})


async def persistently(job: Job, purpose: Purpose, action: Callable[[], Awaitable[Result]]) -> Result:
    """Run an idempotent action on an open ECU; after a stumble pause, open it again for `purpose`, repeat.

    Raises the last AccessError when patience ends or when repeating cannot help.
    """
    pauses = iter(_PAUSES_S)
    while True:
        try:
            return await action()
        except AccessError as error:
            await _pause(job, error, pauses)
            await open_persistently(job, purpose, pauses)


async def open_persistently(job: Job, purpose: Purpose, pauses: Iterator[float] | None = None) -> None:
    """Open the ECU, again and again with pauses. Raises the last AccessError."""
    left = iter(_PAUSES_S) if pauses is None else pauses
    while True:
        try:
            await job.access.open(purpose)
            return
        except AccessError as error:
            await _pause(job, error, left)


async def _pause(job: Job, error: AccessError, pauses: Iterator[float]) -> None:
    """Wait before the next try; raise the error where there is none."""
    pause_s = next(pauses, None)
    if pause_s is None or not worth_repeating(error):
        raise error
    job.note(f"{error}: trying again")
    await asyncio.sleep(pause_for(error, pause_s))


def worth_repeating(error: AccessError) -> bool:
    """Whether a stumble may pass by itself: silence, a lost link, a lost session, a busy ECU."""
    if isinstance(error, EcuRefusedError):
        return error.refusal in _WORTH_REPEATING
    return isinstance(error, EcuSilentError | LinkLostError)


def pause_for(error: AccessError, pause_s: float) -> float:
    """Seconds to wait before the next try; a lock-out of the unlock takes at least 10 s (sheet 2.3)."""
    if isinstance(error, EcuRefusedError) and error.refusal is Refusal.LOCKED_OUT:
        return max(pause_s, _LOCKOUT_PAUSE_S)
    return pause_s
