"""Plaintext memory of an ECU, held in the engine's memory only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from appliance.contract.places import Range, Start
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from appliance.protocols.access import Block
from appliance.vault.contents import content_sha256

Held: TypeAlias = bytes | bytearray
"""A span's bytes, which whoever looks at them leaves alone."""
_COMPARE_BYTES = 256


class MemoryImage:
    """Spans of memories by where they begin. Spans of one memory do not overlap."""

    def __init__(self, spans: Mapping[Start, Held]) -> None:
        self._spans = {at: spans[at] for at in sorted(spans)}

    @property
    def spans(self) -> dict[Start, Held]:
        """Memory and first address to bytes, ascending."""
        return dict(self._spans)

    @property
    def pieces(self) -> tuple[tuple[Range, Held], ...]:
        """Every span's range and its bytes, ascending."""
        return tuple((_range(at, data), data) for at, data in self._spans.items())

    @property
    def size_bytes(self) -> int:
        """All spans together."""
        return sum(len(data) for data in self._spans.values())

    def covers(self, place: Range) -> bool:
        """Whether one span holds all of the range."""
        return any(span.contains(place) for span, _ in self.pieces)

    def slice(self, place: Range) -> bytes:
        """Bytes of a range inside one span. Raises KeyError: missing bytes are never invented."""
        for span, data in self.pieces:
            if span.contains(place):
                return bytes(memoryview(data)[place.start - span.start : place.end - span.start])
        raise KeyError(f"{place} is not in the image")

    def held(self, place: Range) -> Held:
        """Like `slice`, and without a copy where the range is a whole span: to look at, never to change."""
        data = self._spans.get(place.at)
        return data if data is not None and len(data) == place.length else self.slice(place)

    def block(self, block: Block) -> bytes:
        """Bytes of one block. Raises KeyError."""
        return self.slice(block.place)

    def overlaid(self, other: MemoryImage) -> MemoryImage:
        """This image with the other's bytes on top; the other's spans must lie inside this one's.

        Spans that are wholly the one's or the other's are shared with it, not copied.
        """
        merged = dict(self._spans)
        mixed: dict[Start, bytearray] = {}
        for place, data in other.pieces:
            home = next(_range(at, old) for at, old in merged.items() if _range(at, old).contains(place))
            if place == home:
                merged[home.at] = data
            else:
                merged[home.at] = mixed[home.at] = mixed.get(home.at) or bytearray(merged[home.at])
                mixed[home.at][place.start - home.start : place.end - home.start] = data
        return MemoryImage(merged)

    def patched(self, other: MemoryImage) -> MemoryImage:
        """A copy: the other's bytes, and this one's where that has none; runs that touch become one."""
        taken = [place for place, _ in other.pieces]
        views = [(place, memoryview(data)) for place, data in other.pieces]
        for place, data in self.pieces:
            views += _outside(place, memoryview(data), taken)
        return _joined(views)

    def without(self, ranges: Iterable[Range]) -> MemoryImage:
        """A copy that lacks these ranges."""
        holes = sorted(ranges)
        return _joined(
            [one for place, data in self.pieces for one in _outside(place, memoryview(data), holes)]
        )

    def sha256(self) -> str:
        """Hash over all spans, lowest first."""
        return content_sha256(self._spans)

    def changed_ranges(self, original: MemoryImage) -> tuple[Range, ...]:
        """Runs that differ from the original, to the byte. Raises KeyError for a gap."""
        return tuple(
            Range.between(place.memory, start, end)
            for place, data in self.pieces
            for start, end in _runs(place.start, data, original.held(place))
        )


def _range(at: Start, data: Held) -> Range:
    memory, start = at
    return Range(memory, start, len(data))


def _outside(place: Range, view: memoryview, holes: Sequence[Range]) -> Iterator[tuple[Range, memoryview]]:
    """Pieces of a run outside the holes, which are sorted."""
    at = place.start
    for hole in holes:
        if not hole.overlaps(place):
            continue
        if at < hole.start:
            yield _cut(place, view, at, hole.start)
        at = max(at, hole.end)
    if at < place.end:
        yield _cut(place, view, at, place.end)


def _cut(place: Range, view: memoryview, start: int, end: int) -> tuple[Range, memoryview]:
    return Range.between(place.memory, start, end), view[start - place.start : end - place.start]


def _joined(views: Iterable[tuple[Range, memoryview]]) -> MemoryImage:
    runs: dict[Start, bytearray] = {}
    run, behind = bytearray(), None
    for place, view in sorted(views, key=lambda one: one[0]):
        if place.at != behind:
            run = runs[place.at] = bytearray()
        run += view
        behind = (place.memory, place.end)
    return MemoryImage(runs)


def _runs(start: int, new: Held, old: Held) -> list[tuple[int, int]]:
    """First address of each run that differs, and the first one behind it."""
    runs: list[tuple[int, int]] = []
    if new == old:
        return runs
    for at in range(0, len(new), _COMPARE_BYTES):
        new_part, old_part = new[at : at + _COMPARE_BYTES], old[at : at + _COMPARE_BYTES]
        if new_part != old_part:
            _append_differences(runs, start + at, new_part, old_part)
    return runs


def _append_differences(runs: list[tuple[int, int]], at: int, new: Held, old: Held) -> None:
    for offset, (left, right) in enumerate(zip(new, old, strict=True)):
        if left == right:
            continue
        here = at + offset
        if runs and runs[-1][1] == here:
            runs[-1] = (runs[-1][0], here + 1)
        else:
            runs.append((here, here + 1))


def blocks_of(
    definition: Definition, access: AccessDefinition, *, writable_only: bool = False
) -> tuple[Block, ...]:
    """Every erase block that the access reaches, ascending."""
    blocks = [
        Block(region.name, place, region.block_id)
        for region in access.regions(definition.memories)
        if region.writable or not writable_only
        for place in region.sector_ranges()
    ]
    return tuple(sorted(blocks, key=lambda block: block.place))
