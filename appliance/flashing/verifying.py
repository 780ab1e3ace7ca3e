"""Success is what the ECU's memory says: every block proven by a hash on the target or by reading it back."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.contract.events import Phase
from appliance.contract.places import Range, Start
from appliance.flashing.context import JobContext
from appliance.flashing.hash_blind_spots import WORD_BYTES, pieces_of, seams_of
from appliance.flashing.image import MemoryImage
from appliance.flashing.retries import persistently
from appliance.protocols.access import Block, Purpose

_BY_HASH = ("hash", "crc16")


def method_of(job: JobContext) -> str:
    """How this access proves memory: `hash`, `crc16`, `read_back` or `status`."""
    return job.access_definition.proof


async def differing(
    job: JobContext,
    blocks: Sequence[Block],
    expected: MemoryImage,
    phase: Phase,
    purpose: Purpose,
    *,
    read: bool = False,
) -> list[Block]:
    """Blocks whose memory is not as expected, or that the ECU calls bad where it only gives a status.

    With `read` they are read back whatever the definition says. Raises AccessError when a block cannot be
    asked.
    """
    progress = job.progress(phase, sum(block.size for block in blocks))
    seams = _seams(job, expected)
    found = []
    for block in blocks:
        good = (
            await reads_as(job, block, expected, purpose)
            if read
            else await _holds(job, block, expected, purpose, seams)
        )
        if not good:
            found.append(block)
        progress.add(block.size, moved=read or method_of(job) == "read_back")
    return found


async def passes_check(job: JobContext, block: Block, expected: MemoryImage, purpose: Purpose) -> bool:
    """Run the ECU's own check on a block just programmed; True where it has none. Raises AccessError."""
    content = expected.block(block)
    return (
        await persistently(job, purpose, lambda: job.access.memory.proves_equal(block, content)) is not False
    )


async def holds(job: JobContext, block: Block, expected: MemoryImage, purpose: Purpose) -> bool:
    """Whether one block's memory is as expected. Raises AccessError when it cannot be asked."""
    return await _holds(job, block, expected, purpose, _seams(job, expected))


def _seams(job: JobContext, expected: MemoryImage) -> frozenset[Start]:
    access = job.access_definition
    return seams_of(job.definition, access, expected) if access.proof in _BY_HASH else frozenset()


async def _holds(
    job: JobContext, block: Block, expected: MemoryImage, purpose: Purpose, seams: frozenset[Start]
) -> bool:
    pieces = pieces_of(block, seams)
    if len(pieces) > 1 and job.access_definition.hash_span == "sector":
        return await _sector_holds(job, block, pieces, expected, purpose)
    for piece in pieces:
        if not await _piece_holds(job, piece, expected, purpose):
            return False
    return True


async def _sector_holds(
    job: JobContext, block: Block, pieces: Sequence[Block], expected: MemoryImage, purpose: Purpose
) -> bool:
    """Hash the block as a whole, blind as that is, and read back the checksums stored in it.

    Beside the same stored checksum, other content has another hash.
    """
    for stored in (piece for piece in pieces if piece.size <= WORD_BYTES):
        if not await reads_as(job, stored, expected, purpose):
            return False
    return await _piece_holds(job, block, expected, purpose)


async def _piece_holds(job: JobContext, piece: Block, expected: MemoryImage, purpose: Purpose) -> bool:
    content = expected.block(piece)
    if method_of(job) != "read_back":
        equal = await persistently(job, purpose, lambda: job.access.memory.proves_equal(piece, content))
        if equal is not None:
            return equal
    return await reads_as(job, piece, expected, purpose)


async def reads_as(job: JobContext, piece: Block, expected: MemoryImage, purpose: Purpose) -> bool:
    """Whether the block, read back, is as expected. Raises AccessError when it cannot be read."""
    content, step = expected.block(piece), job.access.memory.max_read_bytes
    for offset in range(0, piece.size, step):
        wanted = content[offset : offset + step]
        if await _read(job, piece.place.part(offset, step), purpose) != wanted:
            return False
    return True


async def _read(job: JobContext, part: Range, purpose: Purpose) -> bytes:
    return await persistently(job, purpose, lambda: job.access.memory.read(part))
