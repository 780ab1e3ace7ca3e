"""What a write would make different, by region: shown before anything is erased."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from appliance.contract.events import RegionChange
from appliance.contract.places import Range
from appliance.definitions.memory import Region
from appliance.definitions.schema import Definition
from appliance.flashing.image import Held, MemoryImage

MOST_RANGES = 64
_NEAR_BYTES = 16
"""Changes closer than this are told as one range."""
_PIECE_BYTES = 0x4000
_COMPARE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Difference:
    """Two contents of one region; content is what is not blank in both."""

    changed_bytes: int
    content_bytes: int

    @property
    def share(self) -> float:
        """Changed share of the content, 0 to 1."""
        return self.changed_bytes / self.content_bytes if self.content_bytes else 0.0


def difference(old: Held, new: Held, erased_byte: int) -> Difference:
    """Count in linear time, in pieces: no second image is built. Raises ValueError for other lengths."""
    if len(old) != len(new):
        raise ValueError(f"{len(old)} and {len(new)} bytes cannot be compared")
    changed = content = 0
    for at in range(0, len(new), _PIECE_BYTES):
        ours, theirs = old[at : at + _PIECE_BYTES], new[at : at + _PIECE_BYTES]
        if ours == theirs:
            content += len(ours) - ours.count(erased_byte)
            continue
        apart = _apart(ours, theirs)
        changed += len(apart) - apart.count(0)
        blank = bytes([erased_byte]) * len(ours)
        either = int.from_bytes(_apart(ours, blank)) | int.from_bytes(_apart(theirs, blank))
        content += len(ours) - either.to_bytes(len(ours)).count(0)
    return Difference(changed, content)


def _apart(left: Held, right: Held) -> bytes:
    """XOR of two contents of one length."""
    return (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(len(left))


def changed_bytes(old: Held, new: Held) -> tuple[bytes, bytes]:
    """What stood in, and what goes to, every place that differs."""
    before, after = bytearray(), bytearray()
    for at in range(0, len(new), _COMPARE_BYTES):
        ours, theirs = old[at : at + _COMPARE_BYTES], new[at : at + _COMPARE_BYTES]
        if ours != theirs:
            pairs = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
            before += bytes(left for left, _ in pairs)
            after += bytes(right for _, right in pairs)
    return bytes(before), bytes(after)


def changes_of(definition: Definition, original: MemoryImage, tuned: MemoryImage) -> tuple[RegionChange, ...]:
    """The regions that the tuned memory covers as a whole, also those in which nothing changes."""
    return tuple(
        _change(region, original, tuned)
        for region in definition.regions
        if all(image.covers(region.place) for image in (original, tuned))
    )


def _change(region: Region, original: MemoryImage, tuned: MemoryImage) -> RegionChange:
    new = tuned.held(region.place)
    runs = MemoryImage({region.place.at: new}).changed_ranges(original)
    told = list(_told(runs))
    return RegionChange(
        region=region.name,
        tag=region.tag,
        place=region.place,
        changed_bytes=sum(run.length for run in runs),
        ranges=tuple(islice(told, MOST_RANGES)),
        ranges_total=len(told),
    )


def _told(runs: Iterable[Range]) -> Iterable[Range]:
    """Ascending runs of one memory, those that lie close together as one."""
    last: Range | None = None
    for run in runs:
        if last and run.start - last.end < _NEAR_BYTES:
            last = Range.between(run.memory, last.start, run.end)
            continue
        if last:
            yield last
        last = run
    if last:
        yield last
