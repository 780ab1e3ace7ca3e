"""What settles which bytes are the right ones: votes where two passes differ, samples where they agree."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from typing import TypeVar

from appliance.contract.places import Range
from appliance.flashing.assembly import Assembly
from appliance.flashing.context import JobContext
from appliance.flashing.errors import ReadUnstableError
from appliance.flashing.range_reading import read_range

Item = TypeVar("Item", int, tuple[Range, Range])

_VOTE_BYTES = 256
_VOTES_UPWARDS = (True, False, True)
"""In which order the messages of each further reading go."""
_LINE_BYTES = 16
_SAMPLE_LINES = 4
SAMPLES_PER_CHUNK = 4


async def vote(job: JobContext, chunk: Range, first: bytes, second: bytes) -> tuple[bytes, int]:
    """Read pieces that differ until each came alike upwards and downwards; the bytes, and how many differed.

    `first` was read upwards and `second` downwards. A piece may take several messages: an answer that comes a
    second time stands in the same place again where the order is the same. Raises ReadUnstableError,
    AccessError.
    """
    pieces = range(0, chunk.length, _VOTE_BYTES)
    ballots = {at: ({first[at : at + _VOTE_BYTES]}, {second[at : at + _VOTE_BYTES]}) for at in pieces}
    ballots = {at: (up, down) for at, (up, down) in ballots.items() if up != down}
    job.note("reads_differ", pieces=len(ballots), of_pieces=len(pieces), place=str(chunk))
    agreed: dict[int, bytes] = {}
    for upwards in _VOTES_UPWARDS:
        for at in _shuffled(job, ballots.keys() - agreed.keys()):
            piece = chunk.part(at, _VOTE_BYTES)
            seen, opposite = ballots[at] if upwards else reversed(ballots[at])
            seen.add(data := await read_range(job, piece, upwards=upwards))
            if data in opposite:
                agreed[at] = data
    if len(agreed) < len(ballots):
        worst = min(ballots.keys() - agreed.keys())
        raise ReadUnstableError(chunk.part(worst, _VOTE_BYTES), 2 + len(_VOTES_UPWARDS))
    merged = bytearray(first)
    for at, data in agreed.items():
        merged[at : at + _VOTE_BYTES] = data
    return bytes(merged), len(ballots)


async def strange_to_samples(job: JobContext, chunks: Sequence[Range], agreed: Assembly) -> list[Range]:
    """The chunks of which small pieces, read in random order, are not what both passes agreed on.

    What they agreed on is opened for that, in `agreed`. Raises AccessError, VaultError.
    """
    pieces = [(chunk, piece) for chunk in chunks for piece in _samples(job, chunk)]
    taken: dict[Range, list[tuple[Range, bytes]]] = {chunk: [] for chunk in chunks}
    for owner, piece in _shuffled(job, pieces):
        taken[owner].append((piece, await read_range(job, piece, upwards=True)))
    known = job.journal.chunks(job.id, 2)
    agreed.open(known[chunk.at].segment for chunk in chunks)
    return [chunk for chunk, samples in taken.items() if not _holds(agreed, samples)]


def _holds(agreed: Assembly, samples: Sequence[tuple[Range, bytes]]) -> bool:
    return all(agreed.view(piece) == data for piece, data in samples)


def _samples(job: JobContext, chunk: Range) -> list[Range]:
    """Whole lines from anywhere but the very start, where a pass begins too."""
    lines = chunk.length // _LINE_BYTES
    if lines <= _SAMPLE_LINES:
        return [chunk]
    dice = _dice(job, chunk.start)
    starts = [dice.randint(1, lines - _SAMPLE_LINES) * _LINE_BYTES for _ in range(SAMPLES_PER_CHUNK)]
    return [chunk.part(at, _SAMPLE_LINES * _LINE_BYTES) for at in starts]


def _shuffled(job: JobContext, items: Collection[Item]) -> list[Item]:
    """In an order that no stale answer can follow, the same for every ECU of one definition."""
    return _dice(job, len(items)).sample(sorted(items), len(items))


def _dice(job: JobContext, about: int) -> random.Random:
    return random.Random(f"{job.definition.id}/{about}")
