"""Plain tuned files of a master: .bin, Intel HEX and S-record, cut into the regions of a definition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

from appliance.contract.errors import EngineError
from appliance.contract.places import Range, Start
from appliance.definitions.memory import Region
from appliance.engine.hexfile import runs_of
from appliance.flashing.image import MemoryImage
from appliance.vault.contents import Content

_RECORD = re.compile(rb"(:[0-9A-Fa-f]{10,}|S[0-9][0-9A-Fa-f]{6,})\s")
"""How an Intel HEX or S-record file begins; a .bin that happens to is hardly ever one."""
_TEXT_PER_BYTE = 16
"""More than a record of a single byte takes."""
_TEXT_BESIDES = 1 << 16


def contents_of(
    definition_id: str,
    regions: Sequence[Region],
    original: MemoryImage,
    data: bytes,
    memory: str | None = None,
) -> dict[Start, Content]:
    """New content of whole writable regions, of those given, by where they begin: of a .bin views of it.

    The file is of one `memory`, or, with None, of all: as a .bin one behind the other, by name.

    Raises PitboxError FILE_FORMAT or FILE_LENGTH, and FILE_CHANGES_FIXED for a file that also changes what
    this definition never writes.
    """
    if memory is not None:
        regions, original = _of_memory(regions, original, memory)
    if is_records(data):
        found = _from_records(definition_id, regions, data)
    else:
        found = _from_bin(regions, original, data)
    _refuse_fixed_changes(regions, original, found)
    return {region.place.at: found[region.place.at] for region in regions if _is_new(region, found)}


def is_records(data: bytes) -> bool:
    """Whether it is Intel HEX or S-record, and no .bin."""
    return _RECORD.match(data) is not None


def runs_in(definition_id: str, size_bytes: int, data: bytes) -> list[tuple[int, bytes]]:
    """Its runs of bytes by address, of that many at most. Raises PitboxError FILE_FORMAT, FILE_LENGTH."""
    if len(data) > size_bytes * _TEXT_PER_BYTE + _TEXT_BESIDES:
        raise EngineError("FILE_LENGTH.too_long", bytes=len(data), definition=definition_id)
    try:
        return runs_of(data.decode("ascii"))
    except ValueError as error:
        raise EngineError("FILE_FORMAT", technical_text=str(error)) from error


def _of_memory(
    regions: Sequence[Region], original: MemoryImage, memory: str
) -> tuple[Sequence[Region], MemoryImage]:
    """What of regions and read is of it. Raises PitboxError."""
    known = sorted({region.memory for region in regions})
    if memory not in known:
        raise EngineError("MEMORY_UNKNOWN", memory=memory, known=tuple(known))
    spans = {place.at: data for place, data in original.pieces if place.memory == memory}
    return [region for region in regions if region.memory == memory], MemoryImage(spans)


def _is_new(region: Region, found: dict[Start, Content]) -> bool:
    return region.writable and region.place.at in found


def _from_bin(regions: Sequence[Region], original: MemoryImage, data: bytes) -> dict[Start, Content]:
    """All that was read, in ascending order, or exactly one writable region."""
    if len(data) == original.size_bytes:
        return _cut(original, data)
    fitting = [r for r in regions if r.writable and r.size_bytes == len(data)]
    if len(fitting) != 1:
        sizes = tuple(f"{r.name} {r.size_bytes}" for r in regions if r.writable)
        raise EngineError("FILE_LENGTH", bytes=len(data), whole_bytes=original.size_bytes, sizes=sizes)
    return {fitting[0].place.at: data}


def _cut(original: MemoryImage, data: bytes) -> dict[Start, Content]:
    found: dict[Start, Content] = {}
    view, offset = memoryview(data), 0
    for place, _ in original.pieces:
        found[place.at] = view[offset : offset + place.length]
        offset += place.length
    return found


def _from_records(definition_id: str, regions: Sequence[Region], data: bytes) -> dict[Start, Content]:
    """Whole regions; a file that holds a part of one is refused, for the rest of it would be invented."""
    segments = runs_in(definition_id, sum(region.size_bytes for region in regions), data)
    found: dict[Start, Content] = {}
    used = 0
    for region in regions:
        for start, content in segments:
            if start <= region.start and region.end <= start + len(content):
                found[region.place.at] = content[region.start - start : region.end - start]
                used += region.size_bytes
    _refuse_ambiguous(found)
    given = sum(len(content) for _, content in segments)
    if used != given or not any(_is_new(region, found) for region in regions):
        raise EngineError(
            "FILE_LENGTH.no_region", bytes=given - used, given_bytes=given, definition=definition_id
        )
    return found


def _refuse_ambiguous(found: dict[Start, Content]) -> None:
    """Such a file has addresses and no memories: two that share some cannot be told apart."""
    places = [Range(*at, len(content)) for at, content in found.items()]
    for one, other in combinations(places, 2):
        if one.overlaps(Range(one.memory, other.start, other.length)):
            raise EngineError("FILE_AMBIGUOUS", one=str(one), other=str(other))


def _refuse_fixed_changes(
    regions: Sequence[Region], original: MemoryImage, found: dict[Start, Content]
) -> None:
    changed = [
        region.name
        for region in regions
        if not region.writable
        and region.place.at in found
        and original.covers(region.place)
        and original.slice(region.place) != found[region.place.at]
    ]
    if changed:
        raise EngineError("FILE_CHANGES_FIXED", changed=tuple(changed))
