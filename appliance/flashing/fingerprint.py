"""Knowing an ECU by its memory: a sample of blocks against the sealed original, where it tells no number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from appliance.flashing.context import JobContext
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.retries import open_persistently
from appliance.flashing.session_end import let_go
from appliance.flashing.verifying import holds, method_of, reads_as
from appliance.protocols.access import Block, EcuRefusedError, Purpose

_SAMPLES = 4
"""Blocks looked at of what the write covers, and as many of what it leaves alone."""
_PIECE_BYTES = 1024
"""What is looked at where whole blocks tell nothing."""
_MOST_PIECES = 64
"""Looked at before memory counts as strange."""
_BY_HASH = ("hash", "crc16")


class _Held(Enum):
    """What a block was found to hold."""

    ORIGINAL = auto()
    WRITTEN = auto()
    BLANK = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a few blocks hold now."""

    equal: int = 0
    """As in the original."""
    written: int = 0
    """Not as in the original, but as the job last wrote and proved them."""
    blank: int = 0
    """Erased: that says nothing of whose memory it was."""
    other: tuple[str, ...] = ()
    """Blocks with other content."""

    @property
    def compared(self) -> int:
        """Blocks that could be looked at."""
        return self.equal + self.written + self.blank + len(self.other)

    @property
    def own(self) -> int:
        """Blocks that only the job's ECU has any reason to hold."""
        return self.equal + self.written


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The sample, apart for what the write leaves alone and for what it covers."""

    outside: Sampled
    inside: Sampled

    @property
    def equal(self) -> int:
        """Blocks as in the original."""
        return self.outside.equal + self.inside.equal

    @property
    def written(self) -> int:
        """Blocks as the job last wrote them."""
        return self.outside.written + self.inside.written

    @property
    def own(self) -> int:
        """Blocks that only the job's ECU has any reason to hold."""
        return self.equal + self.written

    @property
    def blank(self) -> int:
        """Erased blocks."""
        return self.outside.blank + self.inside.blank

    @property
    def compared(self) -> int:
        """Blocks that could be looked at."""
        return self.outside.compared + self.inside.compared


async def fingerprint(
    job: JobContext,
    original: MemoryImage,
    tuned: MemoryImage | None,
    purpose: Purpose,
    last_proven: MemoryImage | None = None,
) -> Fingerprint:
    """Open the ECU, compare, let go of it again; blocks it does not let be read are left out.

    Writable blocks may also be as in `last_proven`, which the job itself wrote there. Where the original goes
    back over a file that changed every block, pieces of them may still tell it.
    Raises AccessError and EcuChangedError.
    """
    writable = blocks_of(job.definition, job.access_definition, writable_only=True)
    inside = [one for one in writable if tuned is None or _has(tuned, one)]
    outside = [one for one in blocks_of(job.definition, job.access_definition) if one not in inside]
    try:
        await open_persistently(job, purpose)
        seen = Fingerprint(
            await _sampled(job, _spread(job, original, outside), original, purpose, last_proven),
            await _sampled(job, _spread(job, original, inside), original, purpose, last_proven),
        )
        if tuned is not None or seen.own or seen.blank:
            return seen
        return await _looked_closer(job, seen, original, inside, purpose, last_proven)
    finally:
        await let_go(job)


async def _looked_closer(
    job: JobContext,
    seen: Fingerprint,
    original: MemoryImage,
    blocks: Sequence[Block],
    purpose: Purpose,
    last_proven: MemoryImage | None,
) -> Fingerprint:
    """Pieces, read back: one as in the original or as it was last written counts, a blank one does not."""
    pieces = [
        replace(block, place=block.place.part(offset, _PIECE_BYTES))
        for block in blocks
        for offset in range(0, block.size, _PIECE_BYTES)
    ]
    equal, written, other = 0, 0, []
    for piece in _spread(job, original, pieces, _MOST_PIECES):
        if equal + written == _SAMPLES:
            break
        try:
            if await reads_as(job, piece, original, purpose):
                equal += 1
            elif await _reads_as_written(job, piece, original, purpose, last_proven):
                written += 1
            else:
                other.append(str(piece))
        except EcuRefusedError as error:
            job.note("region_unreadable", region=piece.region, error=error.said)
    if not equal + written:
        return seen
    return Fingerprint(seen.outside, Sampled(equal, written, other=tuple(other)))


async def _reads_as_written(
    job: JobContext, piece: Block, original: MemoryImage, purpose: Purpose, last_proven: MemoryImage | None
) -> bool:
    if last_proven is None or not _changed(job, piece, original, last_proven):
        return False
    if _is_blank(job, piece, last_proven.block(piece)):
        return False
    return await reads_as(job, piece, last_proven, purpose)


def _spread(
    job: JobContext, original: MemoryImage, blocks: Sequence[Block], most: int = _SAMPLES
) -> list[Block]:
    """A few from the first to the last, of those with content: what an original left erased tells nothing."""
    telling = [one for one in blocks if _has(original, one) and not _is_blank(job, one, original.block(one))]
    if len(telling) <= most:
        return telling
    return [telling[index * (len(telling) - 1) // (most - 1)] for index in range(most)]


async def _sampled(
    job: JobContext,
    blocks: Sequence[Block],
    original: MemoryImage,
    purpose: Purpose,
    last_proven: MemoryImage | None,
) -> Sampled:
    seen: Counter[_Held] = Counter()
    other = []
    for block in blocks:
        try:
            held = await _held(job, block, original, purpose, last_proven)
        except EcuRefusedError as error:
            job.note("region_unseen", region=block.region, error=error.said)
            continue
        seen[held] += 1
        if held is _Held.OTHER:
            other.append(str(block))
    return Sampled(seen[_Held.ORIGINAL], seen[_Held.WRITTEN], seen[_Held.BLANK], tuple(other))


async def _held(
    job: JobContext,
    block: Block,
    original: MemoryImage,
    purpose: Purpose,
    last_proven: MemoryImage | None,
) -> _Held:
    if await _is_as(job, block, original, purpose):
        return _Held.ORIGINAL
    if await _is_as(job, block, _erased(job, block, original), purpose):
        return _Held.BLANK
    if last_proven is not None and _changed(job, block, original, last_proven):
        return _Held.WRITTEN if await _is_as(job, block, last_proven, purpose) else _Held.OTHER
    return _Held.OTHER


def _changed(job: JobContext, block: Block, original: MemoryImage, last_proven: MemoryImage) -> bool:
    """Whether what was written there is another content than the original's."""
    writable = job.definition.region(block.region).writable
    return writable and _has(last_proven, block) and last_proven.block(block) != original.block(block)


async def _is_as(job: JobContext, block: Block, image: MemoryImage, purpose: Purpose) -> bool:
    """By a comparison on the ECU, or by reading; never by a status, which compares nothing."""
    if method_of(job) in _BY_HASH:
        return await holds(job, block, image, purpose)
    return await reads_as(job, block, image, purpose)


def _erased(job: JobContext, block: Block, original: MemoryImage) -> MemoryImage:
    """The block as an erase leaves it, amid the original."""
    return original.overlaid(MemoryImage({block.place.at: _blank(job, block)}))


def _blank(job: JobContext, block: Block) -> bytes:
    return bytes([job.definition.region(block.region).erased_byte]) * block.size


def _is_blank(job: JobContext, block: Block, content: bytes) -> bool:
    return content == _blank(job, block)


def _has(image: MemoryImage, block: Block) -> bool:
    return image.covers(block.place)
