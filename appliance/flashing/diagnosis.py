"""Fault codes before and after: read and cleared as best effort, never in the way of a recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from appliance.flashing.context import JobContext
from appliance.protocols.access import AccessError, Dtc

_DEADLINE_S = 5.0


async def read_dtcs(job: JobContext) -> tuple[Dtc, ...] | None:
    """Stored codes, or None when the ECU does not tell within a few seconds, or not over this access."""
    diagnostics = job.access.diagnostics
    if diagnostics is None:
        return None
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await diagnostics.read_dtcs()
    except AccessError as error:
        job.note("dtcs_unread", error=error.said)
    except TimeoutError:
        job.note("dtcs_untold")
    return None


async def clear_dtcs(job: JobContext) -> bool:
    """True when the ECU says they are cleared."""
    diagnostics = job.access.diagnostics
    if diagnostics is None:
        return False
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await diagnostics.clear_dtcs()
    except AccessError as error:
        job.note("dtcs_uncleared", error=error.said)
    except TimeoutError:
        job.note("dtcs_clear_unanswered")
    else:
        return True
    return False


def new_codes(before: Sequence[Dtc] | None, after: Sequence[Dtc] | None) -> tuple[str, ...]:
    """Codes that were not there before, sorted."""
    return tuple(sorted({dtc.code for dtc in after or ()} - {dtc.code for dtc in before or ()}))
