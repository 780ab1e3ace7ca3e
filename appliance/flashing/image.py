"""Plaintext memory of an ECU, held in the engine's memory only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from appliance.definitions.schema import Definition
from appliance.protocols.access import Block

_COMPARE_BYTES = 256


class MemoryImage:
    """Spans of memory by start address. Spans do not overlap."""

    def __init__(self, spans: Mapping[int, bytes | bytearray]) -> None:
        self._spans = {start: spans[start] for start in sorted(spans)}

    @property
    def spans(self) -> dict[int, bytes | bytearray]:
        """Start address to bytes, ascending."""
        return dict(self._spans)

    @property
    def size_bytes(self) -> int:
        """All spans together."""
        return sum(len(data) for data in self._spans.values())

    def covers(self, start: int, size: int) -> bool:
        """Whether one span holds all of the range."""
        return any(at <= start and start + size <= at + len(data) for at, data in self._spans.items())

    def slice(self, start: int, size: int) -> bytes:
        """Bytes of a range inside one span. Raises KeyError: missing bytes are never invented."""
        for at, data in self._spans.items():
            if at <= start and start + size <= at + len(data):
                return bytes(data[start - at : start - at + size])
        raise KeyError(f"0x{start:X}+0x{size:X} is not in the image")

    def block(self, block: Block) -> bytes:
        """Bytes of one block. Raises KeyError."""
        return self.slice(block.start, block.size)

    def overlaid(self, other: MemoryImage) -> MemoryImage:
        """This image with the other's bytes on top; the other's spans must lie inside this one's.

        Spans that are wholly the one's or the other's are shared with it, not copied.
        """
        merged = dict(self._spans)
        mixed: dict[int, bytearray] = {}
        for start, data in other.spans.items():
            home = next(
                at for at, old in merged.items() if at <= start and start + len(data) <= at + len(old)
            )
            if len(data) == len(merged[home]):
                merged[home] = data
            else:
                merged[home] = mixed[home] = mixed.get(home) or bytearray(merged[home])
                mixed[home][start - home : start - home + len(data)] = data
        return MemoryImage(merged)

    def patched(self, other: MemoryImage) -> MemoryImage:
        """A copy: the other's bytes, and this one's where that has none; runs that touch become one."""
        taken = [(start, start + len(data)) for start, data in other._spans.items()]
        views = [(start, memoryview(data)) for start, data in other._spans.items()]
        for start, data in self._spans.items():
            views += _outside(start, memoryview(data), taken)
        return _joined(views)

    def without(self, ranges: Iterable[tuple[int, int]]) -> MemoryImage:
        """A copy that lacks these (start, end) ranges."""
        holes = sorted(ranges)
        spans = [(start, memoryview(data)) for start, data in self._spans.items()]
        return _joined([piece for start, view in spans for piece in _outside(start, view, holes)])

    def sha256(self) -> str:
        """Hash over all spans, lowest address first (the vault's `content_sha256`)."""
        digest = hashlib.sha256()
        for data in self._spans.values():
            digest.update(data)
        return digest.hexdigest()

    def changed_ranges(self, original: MemoryImage) -> tuple[tuple[int, int], ...]:
        """(start, end) of runs that differ from the original, to the byte. Raises KeyError for a gap."""
        runs: list[tuple[int, int]] = []
        for start, data in self._spans.items():
            old = original.slice(start, len(data))
            for at in range(0, len(data), _COMPARE_BYTES):
                new_part, old_part = data[at : at + _COMPARE_BYTES], old[at : at + _COMPARE_BYTES]
                if new_part != old_part:
                    _append_differences(runs, start + at, new_part, old_part)
        return tuple(runs)


def _outside(
    start: int, view: memoryview, holes: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, memoryview]]:
    """Pieces of a run outside the holes, which are sorted."""
    at, end = start, start + len(view)
    for low, high in holes:
        if low >= end:
            break
        if at < low:
            yield at, view[at - start : low - start]
        at = max(at, high)
    if at < end:
        yield at, view[at - start :]


def _joined(views: Iterable[tuple[int, memoryview]]) -> MemoryImage:
    runs: dict[int, bytearray] = {}
    run, end = bytearray(), -1
    for start, view in sorted(views, key=lambda one: one[0]):
        if start != end:
            run = runs[start] = bytearray()
        run += view
        end = start + len(view)
    return MemoryImage(runs)


def _append_differences(
    runs: list[tuple[int, int]], at: int, new: bytes | bytearray, old: bytes | bytearray
) -> None:
    for offset, (left, right) in enumerate(zip(new, old, strict=True)):
        if left == right:
            continue
        here = at + offset
        if runs and runs[-1][1] == here:
            runs[-1] = (runs[-1][0], here + 1)
        else:
            runs.append((here, here + 1))


def blocks_of(definition: Definition, *, writable_only: bool = False) -> tuple[Block, ...]:
    """Every erase block of the definition, ascending."""
    blocks = [
        Block(region.name, start, size, region.block_id)
        for region in definition.regions
        if region.writable or not writable_only
        for start, size in region.sector_spans()
    ]
    return tuple(sorted(blocks, key=lambda block: block.start))
