"""Reading: two passes compared chunk by chunk, a vote where they differ, resumable; no byte is invented.

The second pass runs downwards: answers that are shifted against their requests then shift the other way, and
cannot agree with the first. A vote and the sample before the end read small pieces in random order, for the
same reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from appliance.contract.events import Phase
from appliance.contract.jobs import JobState
from appliance.contract.places import Range
from appliance.contract.records import SEGMENT_MAX_BYTES, Segment
from appliance.definitions.memory import Region
from appliance.flashing.assembly import Assembly
from appliance.flashing.context import JobContext
from appliance.flashing.errors import ReadUnstableError
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import ChunkRecord
from appliance.flashing.progress import Progress
from appliance.flashing.range_reading import read_range
from appliance.flashing.read_agreement import strange_to_samples, vote
from appliance.flashing.retries import open_persistently
from appliance.flashing.session_end import let_go
from appliance.protocols.access import Purpose
from appliance.vault.contents import new_sha256, sha256_hex
from appliance.vault.errors import VaultError

_MOST_SAMPLINGS = 3


@dataclass(frozen=True, slots=True)
class PassSummary:
    """One reading pass: hash of what it delivered, bytes, seconds, and how many pieces needed a vote."""

    sha256: str
    bytes: int
    seconds: float
    voted_blocks: int


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A verified read: the memory, its sealed segments, and both passes."""

    image: MemoryImage
    regions: tuple[Region, ...]
    segments: tuple[Segment, ...]
    passes: tuple[PassSummary, PassSummary]


async def read_twice(job: JobContext, regions: Sequence[Region]) -> ReadResult:
    """Read regions twice, resuming where an earlier try of this job stopped.

    Raises ReadUnstableError, AccessError (the link did not come back), StorageError, VaultError.
    """
    chunks = [chunk for region in regions for chunk in _chunks_of(region)]
    job.journal.move(job.id, JobState.READING)
    await open_persistently(job, Purpose.READ)
    try:
        await _Pass(job, 1, Phase.READ_1).run(chunks)
        await _Pass(job, 2, Phase.READ_2).run(chunks)
        agreed = Assembly(job.blobs, regions)
        try:
            await _agree_with_samples(job, chunks, agreed)
        except BaseException:
            agreed.wipe()
            raise
    finally:
        await let_go(job)
    return _result(job, regions, chunks, agreed)


def _chunks_of(region: Region) -> Iterator[Range]:
    for offset in range(0, region.size_bytes, SEGMENT_MAX_BYTES):
        yield region.place.part(offset, SEGMENT_MAX_BYTES)


class _Pass:
    """One pass over all chunks; the second compares with the first."""

    def __init__(self, job: JobContext, number: int, phase: Phase) -> None:
        self._job = job
        self._number = number
        self._phase = phase
        self._loop = asyncio.get_running_loop()

    async def run(self, chunks: Sequence[Range]) -> None:
        """Read what is not done yet."""
        done = self._job.journal.chunks(self._job.id, self._number)
        progress = self._job.progress(self._phase, sum(chunk.length for chunk in chunks))
        for chunk in chunks if self._upwards else reversed(chunks):
            if self._is_done(chunk, done.get(chunk.at)):
                progress.add(chunk.length, moved=False)
            else:
                await self._read_chunk(chunk, progress)

    async def again(self, chunk: Range) -> None:
        """Read a chunk whatever is known of it."""
        await self._read_chunk(chunk, None)

    @property
    def _upwards(self) -> bool:
        return self._number == 1

    def _is_done(self, chunk: Range, record: ChunkRecord | None) -> bool:
        """False also for a sealed chunk that the disk lost or damaged, or one of another length."""
        if record is None or record.segment.place != chunk:
            return False
        try:
            self._job.blobs.get(record.segment)
        except VaultError:
            return False
        return True

    async def _read_chunk(self, chunk: Range, progress: Progress | None) -> None:
        began = self._loop.time()
        data = await read_range(self._job, chunk, progress, upwards=self._upwards)
        voted = 0
        if self._number == 1:
            segment = self._job.blobs.put(data, chunk.at)
            digest = segment.pt_sha256
        else:
            digest = sha256_hex(data)
            first = self._job.journal.chunks(self._job.id, 1)[chunk.at]
            segment = first.segment
            if digest != first.pt_sha256:
                agreed, voted = await vote(self._job, chunk, self._job.blobs.get(first.segment), data)
                segment = self._job.blobs.put(agreed, chunk.at)
        record = ChunkRecord(digest, segment, voted, self._loop.time() - began)
        self._job.journal.add_chunk(self._job.id, self._number, record)


async def _agree_with_samples(job: JobContext, chunks: Sequence[Range], agreed: Assembly) -> None:
    """Pieces read in random order must be what both passes agreed on; what is not is read twice again.

    Raises ReadUnstableError.
    """
    suspects = list(chunks)
    for _ in range(_MOST_SAMPLINGS):
        suspects = await strange_to_samples(job, suspects, agreed)
        if not suspects:
            return
        for chunk in suspects:
            job.note("sample_differs", place=str(chunk))
            await _Pass(job, 1, Phase.READ_1).again(chunk)
            await _Pass(job, 2, Phase.READ_2).again(chunk)
    raise ReadUnstableError(suspects[0], 3 * _MOST_SAMPLINGS)


def _result(
    job: JobContext, regions: Sequence[Region], chunks: Sequence[Range], agreed: Assembly
) -> ReadResult:
    """Both passes, and what they agreed on."""
    first, second = (_records(job, number, chunks) for number in (1, 2))
    kept = (agreed.view(record.segment.place) for record in second)
    second_sha256 = _delivered_sha256(second, kept)
    alike = [one.pt_sha256 for one in first] == [two.pt_sha256 for two in second]
    first_sha256 = (
        second_sha256
        if alike
        else _delivered_sha256(first, (job.blobs.get(record.segment) for record in first))
    )
    return ReadResult(
        agreed.image(),
        tuple(regions),
        tuple(record.segment for record in second),
        (_summary(first_sha256, first), _summary(second_sha256, second)),
    )


def _records(job: JobContext, number: int, chunks: Sequence[Range]) -> list[ChunkRecord]:
    """In ascending order."""
    known = job.journal.chunks(job.id, number)
    return [known[chunk.at] for chunk in sorted(chunks)]


def _summary(sha256: str, records: Sequence[ChunkRecord]) -> PassSummary:
    return PassSummary(
        sha256,
        sum(record.segment.place.length for record in records),
        sum(record.seconds for record in records),
        sum(record.voted for record in records),
    )


def _delivered_sha256(records: Sequence[ChunkRecord], kept: Iterable[bytes | memoryview]) -> str:
    """Of what a pass delivered: what was kept, or the chunk's hash where that lost the vote and is gone."""
    digest = new_sha256()
    for record, data in zip(records, kept, strict=True):
        won = record.segment.pt_sha256 == record.pt_sha256
        digest.update(data if won else bytes.fromhex(record.pt_sha256))
    return digest.finalize().hex()
