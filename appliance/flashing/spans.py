"""A span of memory, and how the heart has it read: in parts, in either order, with patience."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from appliance.flashing.context import JobContext
from appliance.flashing.patience import persistently
from appliance.flashing.progress import Progress
from appliance.protocols.access import LinkLostError, Purpose


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """`size` bytes from `address`."""

    address: int
    size: int


async def read_span(job: JobContext, span: Span, progress: Progress | None = None, *, upwards: bool) -> bytes:
    """The bytes of a span, in parts as large as the access takes them, from its start or from its end.

    Raises AccessError when patience ends.
    """
    low, high = span.address, span.address + span.size
    lower, upper = bytearray(), bytearray()
    while low < high:
        part = await persistently(job, Purpose.READ, partial(_read_part, job, low, high, upwards))
        if upwards:
            lower += part
            low += len(part)
        else:
            upper[:0] = part
            high -= len(part)
        if progress:
            progress.add(len(part))
    return bytes(lower + upper)


async def _read_part(job: JobContext, low: int, high: int, upwards: bool) -> bytes:
    size = min(job.access.memory.max_read_bytes, high - low)
    at = low if upwards else high - size
    part = await job.access.memory.read(at, size, upwards=upwards)
    if len(part) != size:
        raise LinkLostError(f"{len(part)} bytes came from 0x{at:08X} where {size} were asked for")
    return part
