"""Proposals that wait too long are over when their time is, whether or not anybody looks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from appliance.contract.errors import PitboxError
from appliance.engine.context import EngineContext
from appliance.engine.proposing import tidy

REST_S = 10.0
"""At most between two looks: a new proposal lives longer, and a clock that was set is noticed."""
log = logging.getLogger("pitbox.engine")


class _Call(Protocol):
    """Has a function run in the thread that owns the journal."""

    def __call__(self, function: Callable[[], float], /) -> Awaitable[float]: ...


async def expire_in_time(box: EngineContext, call: _Call) -> None:
    """Look until cancelled, each time when the next one is due."""
    while True:
        try:
            left_s = await call(lambda: _looked(box))
        except PitboxError as error:
            log.warning("proposals are not looked after: %s", error.what)
            left_s = REST_S
        await asyncio.sleep(min(left_s, REST_S))


def _looked(box: EngineContext) -> float:
    """Seconds until the next one is due. Raises PitboxError."""
    proposals = box.journal.proposals
    if proposals.expire():
        tidy(box)
    return proposals.due_in_s()
