"""Memory of an ECU as its definition tells it: regions, and the sectors that erase as one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from appliance.contract.places import FLASH, Range
from appliance.definitions.fields import Strict, refuse

ADDRESS_SPACE_BYTES = 1 << 32
MOST_REGIONS = 256
"""Of all memories together."""
MOST_SECTORS = 1 << 16
"""Of all regions together: every one is a step of a write, and a line of what is told of the definition."""
EXCLUDED_TAGS = frozenset({"immo", "immobiliser", "eeprom_key", "key", "odometer", "airbag", "crash"})
"""Contents Pitbox does not handle (design: out of bounds)."""
_NAME = r"^[a-z0-9_]{1,30}$"


class Sectors(Strict):
    """A run of `count` equal erase sectors."""

    size_bytes: int = Field(ge=16, le=1 << 28)
    """Length of one sector."""
    count: int = Field(ge=1, le=65_536)
    """How many of them follow each other."""


class Region(Strict):
    """A named span of memory; its sectors, in order, fill it exactly."""

    name: str = Field(pattern=_NAME)
    """Name of the region, used once in the file."""
    tag: Literal["boot", "code", "calibration", "data"]
    """What it holds. Immobiliser, key, odometer and airbag memory is refused."""
    start: int = Field(ge=0, lt=ADDRESS_SPACE_BYTES)
    """First address."""
    size_bytes: int = Field(ge=16, le=1 << 28)
    """Length; its sectors fill it exactly."""
    sectors: tuple[Sectors, ...] = Field(min_length=1)
    """What erases as one, in order of address."""
    writable: bool = True
    """Whether Pitbox may write it."""
    readable: bool = True
    """Whether it can be read. What is written must be."""
    unreadable_because: str | None = Field(default=None, min_length=1, max_length=200)
    """Why it cannot be read; told where readable = false."""
    erases_with: tuple[str, ...] = Field(default=(), max_length=64)
    """Regions of the same memory that an erase here erases too."""
    depends_on: tuple[str, ...] = Field(default=(), max_length=64)
    """Regions that must be whole before the ECU takes this one."""
    erased_byte: int = Field(default=0xFF, ge=0, le=0xFF)
    """By default the memory's."""
    page_bytes: int = Field(default=256, ge=1)
    """By default the memory's."""
    block_id: int | None = Field(default=None, ge=0, le=0xFF)
    """Number by which an ECU that takes blocks calls it."""
    memory: str = FLASH
    """Name of the memory it is of, which fills it in."""

    @property
    def end(self) -> int:
        """First address behind the region."""
        return self.start + self.size_bytes

    @property
    def place(self) -> Range:
        """Where it is."""
        return Range(self.memory, self.start, self.size_bytes)

    @field_validator("name", "tag", mode="before")
    @classmethod
    def _handled(cls, word: object) -> object:
        return _refuse_excluded(word, "region")

    @model_validator(mode="after")
    def _filled(self) -> Region:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        total = sum(run.size_bytes * run.count for run in self.sectors)
        if total != self.size_bytes:
            yield f"sectors add up to 0x{total:X} bytes, size_bytes is 0x{self.size_bytes:X}"
        if self.end > ADDRESS_SPACE_BYTES:
            yield f"ends at 0x{self.end:X}, above the 32-bit address space"
        if self.unreadable_because is not None and self.readable:
            yield "unreadable_because belongs to readable = false"
        if self.name in (*self.erases_with, *self.depends_on):
            yield "erases_with and depends_on name other regions"
        if self.writable and not self.readable:
            yield "writable = true needs readable = true: what was never read could not be put back"

    def sector_ranges(self) -> tuple[Range, ...]:
        """Every erase sector, ascending."""
        ranges, at = [], self.start
        for run in self.sectors:
            for _ in range(run.count):
                ranges.append(Range(self.memory, at, run.size_bytes))
                at += run.size_bytes
        return tuple(ranges)


class Memory(Strict):
    """One memory of the ECU, an address space of its own: a flash, an EEPROM, that of a second processor."""

    name: str = Field(pattern=_NAME)
    """Name of the memory; `flash` where there is one alone."""
    erased_byte: int = Field(default=0xFF, ge=0, le=0xFF)
    """What every byte is after an erase."""
    page_bytes: int = Field(default=256, ge=1)
    """What is programmed as one; sectors are whole numbers of it."""
    regions: tuple[Region, ...]
    """What lies in it, by addresses of its own."""

    @field_validator("name", mode="before")
    @classmethod
    def _handled(cls, word: object) -> object:
        return _refuse_excluded(word, "memory")

    @field_validator("regions")
    @classmethod
    def _of_this_memory(cls, regions: tuple[Region, ...], info: ValidationInfo) -> tuple[Region, ...]:
        name = info.data.get("name", "")
        refuse(_too_many(regions))
        refuse(_foreign(regions, name))
        defaults: dict[str, object] = {
            key: info.data[key] for key in ("erased_byte", "page_bytes") if key in info.data
        }
        own = tuple(_with_defaults(region, {**defaults, "memory": name}) for region in regions)
        refuse(_conflicts(own))
        return own


def _refuse_excluded(word: object, what: str) -> object:
    if isinstance(word, str) and word.lower() in EXCLUDED_TAGS:
        raise ValueError(f"Pitbox does not handle {word.lower()} memory; leave this {what} out")
    return word


def _with_defaults(region: Region, defaults: dict[str, object]) -> Region:
    missing = {key: value for key, value in defaults.items() if key not in region.model_fields_set}
    return region.model_copy(update=missing)


def _too_many(regions: Sequence[Region]) -> Iterator[str]:
    sectors = sum(run.count for region in regions for run in region.sectors)
    if len(regions) > MOST_REGIONS:
        yield f"{len(regions)} regions are more than the {MOST_REGIONS} that a definition may have"
    if sectors > MOST_SECTORS:
        yield f"{sectors} sectors are more than the {MOST_SECTORS} that a definition may have"


def _foreign(regions: Sequence[Region], name: str) -> Iterator[str]:
    for region in regions:
        if "memory" in region.model_fields_set and region.memory != name:
            yield f"region {region.name!r} says it is of memory {region.memory!r}"


def _conflicts(regions: Sequence[Region]) -> Iterator[str]:
    if not regions:
        yield "there is no region"
    for region in regions:
        if any(run.size_bytes % region.page_bytes for run in region.sectors):
            yield f"a sector of {region.name!r} is not a whole number of pages of {region.page_bytes} bytes"
    yield from _unfit_groups(regions)
    block_ids = Counter(region.block_id for region in regions if region.block_id is not None)
    yield from (f"block_id {number} is used {n} times" for number, n in block_ids.items() if n > 1)
    ordered = sorted(regions, key=lambda region: region.start)
    for low, high in itertools.pairwise(ordered):
        if low.end > high.start:
            yield f"{low.name!r} ends at 0x{low.end:X}, inside {high.name!r} at 0x{high.start:X}"


def _unfit_groups(regions: Sequence[Region]) -> Iterator[str]:
    known = {region.name: region for region in regions}
    for region in regions:
        for name in region.erases_with:
            if name not in known:
                yield f"{region.name!r} erases {name!r} with it, and this memory has no such region"
            elif region.writable and not known[name].writable:
                yield f"{region.name!r} erases {name!r} with it, which is not writable: nothing puts it back"


def _unknown_dependencies(memories: Sequence[Memory]) -> Iterator[str]:
    regions = [region for memory in memories for region in memory.regions]
    known = {region.name for region in regions}
    for region in regions:
        for name in set(region.depends_on) - known:
            yield f"{region.name!r} depends on {name!r}, and no region is called so"


def _circular_dependencies(memories: Sequence[Memory]) -> Iterator[str]:
    needs = {region.name: region.depends_on for memory in memories for region in memory.regions}
    for name in circular(needs):
        yield f"{name!r} depends on itself in the end: nothing could be written first"


def circular(needs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Names that need themselves in the end."""
    for name, first in needs.items():
        todo, seen = list(first), set[str]()
        while todo and name not in seen:
            if (one := todo.pop()) not in seen:
                seen.add(one)
                todo += needs.get(one, ())
        if name in seen:
            yield name


def check_memories(memories: tuple[Memory, ...]) -> tuple[Memory, ...]:
    """The memories. Raises ValueError naming every name of a memory or of a region that is used twice."""
    refuse(() if memories else ["there is no memory"])
    refuse(_too_many([region for memory in memories for region in memory.regions]))
    refuse(_repeated(memory.name for memory in memories))
    refuse(_repeated(region.name for memory in memories for region in memory.regions))
    refuse(_unknown_dependencies(memories))
    refuse(_circular_dependencies(memories))
    return memories


def _repeated(names: Iterable[str]) -> Iterator[str]:
    yield from (f"the name {name!r} is used {n} times" for name, n in Counter(names).items() if n > 1)


Memories = Annotated[tuple[Memory, ...], Field(max_length=16), AfterValidator(check_memories)]


def out_of_reach(regions: Sequence[Region], address_bytes: int) -> Iterator[str]:
    """Why that many address bytes do not reach every region."""
    for region in regions:
        if region.end > 1 << 8 * address_bytes:
            yield f"address_bytes = {address_bytes} does not reach the end of region {region.name!r}"


def not_blocks(regions: Sequence[Region]) -> Iterator[str]:
    """Why regions cannot be named by a block id: each writable one needs an id and is one single sector."""
    for region in regions:
        if region.writable and region.block_id is None:
            yield f"region {region.name!r} has no block_id"
        if region.writable and sum(run.count for run in region.sectors) > 1:
            yield f"region {region.name!r} is named by a block id, so it has one sector"
    block_ids = Counter(region.block_id for region in regions if region.block_id is not None)
    yield from (f"block_id {number} is used in {n} memories" for number, n in block_ids.items() if n > 1)


def ambiguous(memories: Sequence[Memory]) -> Iterator[str]:
    """Why a bare address does not tell these memories apart."""
    for one, other in itertools.combinations(memories, 2):
        for region, there in itertools.product(one.regions, other.regions):
            if region.start < there.end and there.start < region.end:
                yield (
                    f"{region.name!r} of {one.name!r} and {there.name!r} of {other.name!r} have the same "
                    "addresses, which nothing tells apart on this wire: give one of them an offset of its own"
                )
                break
