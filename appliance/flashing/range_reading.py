"""How the heart has a range of memory read: in parts, in either order, with patience."""

from __future__ import annotations

from functools import partial

from appliance.contract.phrases import phrase
from appliance.contract.places import Range
from appliance.flashing.context import JobContext
from appliance.flashing.progress import Progress
from appliance.flashing.retries import persistently
from appliance.protocols.access import LinkLostError, Purpose


async def read_range(
    job: JobContext, place: Range, progress: Progress | None = None, *, upwards: bool
) -> bytes:
    """The bytes of a range, in parts as large as the access takes them, from its start or from its end.

    Raises AccessError when patience ends.
    """
    left = place
    lower, upper = bytearray(), bytearray()
    while left.length:
        part = await persistently(job, Purpose.READ, partial(_read_part, job, left, upwards))
        if upwards:
            lower += part
            left = left.part(len(part), left.length)
        else:
            upper[:0] = part
            left = left.part(0, left.length - len(part))
        if progress:
            progress.add(len(part))
    return bytes(lower + upper)


async def _read_part(job: JobContext, left: Range, upwards: bool) -> bytes:
    size = min(job.access.memory.max_read_bytes, left.length)
    part = left.part(0 if upwards else left.length - size, size)
    data = await job.access.memory.read(part, upwards=upwards)
    if len(data) != size:
        raise LinkLostError(phrase("ecu.short_read", bytes=len(data), place=str(part), wanted_bytes=size))
    return data
