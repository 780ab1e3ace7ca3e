"""Reading: two passes compared chunk by chunk, a vote where they differ, resumable; no byte is invented."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from appliance.contract.events import Phase
from appliance.contract.jobs import JobState
from appliance.definitions.memory import Region
from appliance.flashing.context import Job
from appliance.flashing.errors import ReadUnstableError
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import ChunkRecord
from appliance.flashing.patience import open_persistently, persistently
from appliance.flashing.progress import Progress
from appliance.protocols.access import LinkLostError, Purpose
from appliance.vault.errors import VaultError
from appliance.vault.records import SEGMENT_MAX_BYTES, Segment

_VOTE_BYTES = 256
_MOST_VOTES = 5


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


@dataclass(frozen=True, slots=True)
class _Chunk:
    address: int
    size: int


async def read_twice(job: Job, regions: Sequence[Region]) -> ReadResult:
    """Read regions twice, resuming where an earlier try of this job stopped.

    Raises ReadUnstableError, AccessError (the link did not come back), StorageError, VaultError.
    """
    chunks = [chunk for region in regions for chunk in _chunks_of(region)]
    job.journal.move(job.id, JobState.READING)
    await open_persistently(job, Purpose.READ)
    try:
        await _Pass(job, 1, Phase.READ_1).run(chunks)
        await _Pass(job, 2, Phase.READ_2).run(chunks)
    finally:
        await job.access.close()
    return _result(job, regions, chunks)


def _chunks_of(region: Region) -> Iterator[_Chunk]:
    for at in range(region.start, region.end, SEGMENT_MAX_BYTES):
        yield _Chunk(at, min(SEGMENT_MAX_BYTES, region.end - at))


class _Pass:
    """One pass over all chunks; the second compares with the first."""

    def __init__(self, job: Job, number: int, phase: Phase) -> None:
        self._job = job
        self._number = number
        self._phase = phase
        self._loop = asyncio.get_running_loop()

    async def run(self, chunks: Sequence[_Chunk]) -> None:
        done = self._job.journal.chunks(self._job.id, self._number)
        progress = self._job.progress(self._phase, sum(chunk.size for chunk in chunks))
        for chunk in chunks:
            if self._is_done(chunk, done.get(chunk.address)):
                progress.add(chunk.size, moved=False)
            else:
                await self._read_chunk(chunk, progress)

    def _is_done(self, chunk: _Chunk, record: ChunkRecord | None) -> bool:
        """False also for a sealed chunk that the disk lost or damaged, or one of another length."""
        if record is None or record.segment.length != chunk.size:
            return False
        try:
            self._job.blobs.get(record.segment)
        except VaultError:
            return False
        return True

    async def _read_chunk(self, chunk: _Chunk, progress: Progress) -> None:
        began = self._loop.time()
        data = await self._read(chunk, progress)
        voted = 0
        if self._number == 1:
            segment = self._job.blobs.put(data, chunk.address)
            digest = segment.pt_sha256
        else:
            digest = hashlib.sha256(data).hexdigest()
            first = self._job.journal.chunks(self._job.id, 1)[chunk.address]
            segment = first.segment
            if digest != first.pt_sha256:
                agreed, voted = await self._vote(chunk, [self._job.blobs.get(first.segment), data])
                segment = self._job.blobs.put(agreed, chunk.address)
        record = ChunkRecord(chunk.address, digest, segment, voted, self._loop.time() - began)
        self._job.journal.add_chunk(self._job.id, self._number, record)

    async def _read(self, chunk: _Chunk, progress: Progress | None) -> bytes:
        data = bytearray()
        while len(data) < chunk.size:
            part = await self._read_part(chunk.address + len(data), chunk.size - len(data))
            data += part
            if progress:
                progress.add(len(part))
        return bytes(data)

    async def _read_part(self, at: int, left: int) -> bytes:
        return await persistently(self._job, Purpose.READ, lambda: self._read_once(at, left))

    async def _read_once(self, at: int, left: int) -> bytes:
        size = min(self._job.access.max_read_bytes, left)
        part = await self._job.access.read(at, size)
        if len(part) != size:
            raise LinkLostError(f"{len(part)} bytes came from 0x{at:08X} where {size} were asked for")
        return part

    async def _vote(self, chunk: _Chunk, readings: list[bytes]) -> tuple[bytes, int]:
        """Read on until every piece came twice alike; returns the bytes and how many pieces differed."""
        pieces = range(0, chunk.size, _VOTE_BYTES)
        disputed = [at for at in pieces if len({data[at : at + _VOTE_BYTES] for data in readings}) > 1]
        self._job.note(
            f"Reads differ in {len(disputed)} of {len(pieces)} pieces at 0x{chunk.address:08X}: reading again"
        )
        agreed: dict[int, bytes] = {}
        while len(agreed) < len(disputed):
            if len(readings) >= _MOST_VOTES:
                worst = next(at for at in disputed if at not in agreed)
                raise ReadUnstableError(chunk.address + worst, len(readings))
            readings.append(await self._read(chunk, None))
            for at in disputed:
                piece, count = Counter(data[at : at + _VOTE_BYTES] for data in readings).most_common(1)[0]
                if count >= 2:
                    agreed[at] = piece
        merged = bytearray(readings[0])
        for at, piece in agreed.items():
            merged[at : at + _VOTE_BYTES] = piece
        return bytes(merged), len(disputed)


def _result(job: Job, regions: Sequence[Region], chunks: Sequence[_Chunk]) -> ReadResult:
    """Both passes; every segment that was kept is opened once."""
    first, second = (_records(job, number, chunks) for number in (1, 2))
    content = {region.start: bytearray(region.size_bytes) for region in regions}
    delivered = hashlib.sha256()
    for record in second:
        data = job.blobs.get(record.segment)
        _place(content, record.address, data)
        delivered.update(_delivered(record, data))
    second_sha256 = delivered.hexdigest()
    alike = [one.pt_sha256 for one in first] == [two.pt_sha256 for two in second]
    first_sha256 = second_sha256 if alike else _delivered_sha256(job, first)
    return ReadResult(
        MemoryImage(content),
        tuple(regions),
        tuple(record.segment for record in second),
        (_summary(first_sha256, first), _summary(second_sha256, second)),
    )


def _place(content: Mapping[int, bytearray], address: int, data: bytes) -> None:
    start = max(start for start in content if start <= address)
    content[start][address - start : address - start + len(data)] = data


def _records(job: Job, number: int, chunks: Sequence[_Chunk]) -> list[ChunkRecord]:
    """In ascending order of address."""
    known = job.journal.chunks(job.id, number)
    return sorted((known[chunk.address] for chunk in chunks), key=lambda record: record.address)


def _summary(sha256: str, records: Sequence[ChunkRecord]) -> PassSummary:
    return PassSummary(
        sha256,
        sum(record.segment.length for record in records),
        sum(record.seconds for record in records),
        sum(record.voted for record in records),
    )


def _delivered_sha256(job: Job, records: Sequence[ChunkRecord]) -> str:
    digest = hashlib.sha256()
    for record in records:
        digest.update(_delivered(record, job.blobs.get(record.segment)))
    return digest.hexdigest()


def _delivered(record: ChunkRecord, kept: bytes) -> bytes:
    """The kept bytes, or the chunk's hash where what was delivered lost the vote and is gone."""
    return kept if record.segment.pt_sha256 == record.pt_sha256 else bytes.fromhex(record.pt_sha256)
