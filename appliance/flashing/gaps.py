"""A target whose sealed bytes are damaged in places: what is whole is used, the ECU is asked for the rest.

Where the ECU still holds what a damaged segment held, the segment's hash proves it byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from appliance.contract.places import Range
from appliance.flashing.context import JobContext
from appliance.flashing.image import MemoryImage
from appliance.flashing.retries import persistently
from appliance.protocols.access import Block, EcuRefusedError, Purpose
from appliance.vault.contents import sha256_hex


@dataclass(frozen=True, slots=True)
class Gap:
    """A range of which no sealed copy is whole."""

    place: Range
    sha256: str | None
    """Of what it held; None where that was never known, or the ECU holds something else."""

    def __str__(self) -> str:
        return str(self.place)


@dataclass(frozen=True, slots=True)
class Target:
    """What memory is to become, as far as it is known."""

    image: MemoryImage
    gaps: tuple[Gap, ...] = ()


def unknown(blocks: Iterable[Block], image: MemoryImage) -> list[Block]:
    """Blocks whose content is not wholly known."""
    return [block for block in blocks if not image.covers(block.place)]


async def filled(job: JobContext, target: Target, purpose: Purpose) -> Target:
    """The target with every gap closed that the ECU's memory, open for `purpose`, closes.

    A gap where the ECU holds something else stays without its hash: it has lost its last witness.
    Raises AccessError.
    """
    image, left = target.image, []
    for gap in target.gaps:
        data = None if gap.sha256 is None else await held(job, gap.place, purpose)
        if data is not None and sha256_hex(data) != gap.sha256:  # that read may be spoilt itself
            data = await held(job, gap.place, purpose)
        if data is None:
            left.append(gap)
        elif sha256_hex(data) != gap.sha256:
            job.note("gap_other", place=str(gap))
            left.append(replace(gap, sha256=None))
        else:
            job.note("gap_held", place=str(gap))
            image = MemoryImage({gap.place.at: data}).patched(image)
    return Target(image, tuple(left))


async def held(job: JobContext, place: Range, purpose: Purpose) -> bytes | None:
    """A range as the ECU, open for `purpose`, holds it; None where it refuses to tell. Raises AccessError."""
    data = bytearray()
    try:
        while len(data) < place.length:
            part = place.part(len(data), job.access.memory.max_read_bytes)
            data += await _read(job, part, purpose)
    except EcuRefusedError as error:
        job.note("gap_unreadable", place=str(place), error=error.said)
        return None
    return bytes(data)


async def _read(job: JobContext, part: Range, purpose: Purpose) -> bytes:
    return await persistently(job, purpose, lambda: job.access.memory.read(part))
