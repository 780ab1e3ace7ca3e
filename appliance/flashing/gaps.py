"""A target whose sealed bytes are damaged in places: what is whole is used, the ECU is asked for the rest.

Where the ECU still holds what a damaged segment held, the segment's hash proves it byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.flashing.context import JobContext
from appliance.flashing.image import MemoryImage
from appliance.flashing.patience import persistently
from appliance.protocols.access import Block, EcuRefusedError, Purpose


@dataclass(frozen=True, slots=True)
class Gap:
    """A range of which no sealed copy is whole."""

    start: int
    end: int
    """First address behind it."""
    sha256: str | None
    """Of what it held; None where that was never known."""


@dataclass(frozen=True, slots=True)
class Target:
    """What memory is to become, as far as it is known."""

    image: MemoryImage
    gaps: tuple[Gap, ...] = ()


def unknown(blocks: Iterable[Block], image: MemoryImage) -> list[Block]:
    """Blocks whose content is not wholly known."""
    return [block for block in blocks if not image.covers(block.start, block.size)]


async def filled(job: JobContext, target: Target) -> Target:
    """The target with every gap closed that the open ECU's memory closes. Raises AccessError."""
    image, left = target.image, []
    for gap in target.gaps:
        data = await _proven(job, gap)
        if data is None:
            left.append(gap)
        else:
            job.note(f"0x{gap.start:08X} to 0x{gap.end:08X}: the ECU itself still holds what the disk lost")
            image = MemoryImage({gap.start: data}).patched(image)
    return Target(image, tuple(left))


async def _proven(job: JobContext, gap: Gap) -> bytes | None:
    """Bytes of the gap as the ECU holds them, if they are the right ones."""
    if gap.sha256 is None:
        return None
    data = bytearray()
    try:
        while gap.start + len(data) < gap.end:
            data += await _part(job, gap.start + len(data), gap.end)
    except EcuRefusedError as error:
        job.note(f"0x{gap.start:08X} to 0x{gap.end:08X} cannot be read: {error}")
        return None
    return bytes(data) if hashlib.sha256(data).hexdigest() == gap.sha256 else None


async def _part(job: JobContext, at: int, end: int) -> bytes:
    size = min(job.access.max_read_bytes, end - at)
    return await persistently(job, Purpose.RECOVER, lambda: job.access.read(at, size))
