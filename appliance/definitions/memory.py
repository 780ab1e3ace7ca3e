"""Memory of an ECU as its definition tells it: regions, and the sectors that erase as one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from appliance.contract.places import FLASH, Range
from appliance.definitions.fields import Strict, refuse

ADDRESS_SPACE_BYTES = 1 << 32
EXCLUDED_TAGS = frozenset({"immo", "immobiliser", "eeprom_key", "key", "odometer", "airbag", "crash"})
"""Contents Pitbox does not handle (design: out of bounds)."""
_NAME = r"^[a-z0-9_]{1,30}$"


class Sectors(Strict):
    """A run of `count` equal erase sectors."""

    size_bytes: int = Field(ge=16, le=1 << 28)
    count: int = Field(ge=1, le=65_536)


class Region(Strict):
    """A named span of memory; its sectors, in order, fill it exactly."""

    name: str = Field(pattern=_NAME)
    tag: Literal["boot", "code", "calibration", "data"]
    start: int = Field(ge=0, lt=ADDRESS_SPACE_BYTES)
    size_bytes: int = Field(ge=16, le=1 << 28)
    sectors: tuple[Sectors, ...] = Field(min_length=1)
    writable: bool = True
    readable: bool = True
    erased_byte: int = Field(default=0xFF, ge=0, le=0xFF)
    """By default the memory's."""
    page_bytes: int = Field(default=256, ge=1)
    """By default the memory's."""
    block_id: int | None = Field(default=None, ge=0, le=0xFF)
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
        if self.writable and not self.readable:
            yield "writable = true needs readable = true: what was never read could not be put back"

    def sector_spans(self) -> tuple[tuple[int, int], ...]:
        """(start, size) of every erase sector, ascending."""
        spans, at = [], self.start
        for run in self.sectors:
            for _ in range(run.count):
                spans.append((at, run.size_bytes))
                at += run.size_bytes
        return tuple(spans)

    def sector_ranges(self) -> tuple[Range, ...]:
        """Every erase sector, ascending."""
        return tuple(Range(self.memory, start, size) for start, size in self.sector_spans())


class Memory(Strict):
    """One memory of the ECU, an address space of its own: a flash, an EEPROM, that of a second processor."""

    name: str = Field(pattern=_NAME)
    erased_byte: int = Field(default=0xFF, ge=0, le=0xFF)
    """What every byte is after an erase."""
    page_bytes: int = Field(default=256, ge=1)
    """What is programmed as one; sectors are whole numbers of it."""
    regions: tuple[Region, ...]

    @field_validator("name", mode="before")
    @classmethod
    def _handled(cls, word: object) -> object:
        return _refuse_excluded(word, "memory")

    @field_validator("regions")
    @classmethod
    def _of_this_memory(cls, regions: tuple[Region, ...], info: ValidationInfo) -> tuple[Region, ...]:
        name = info.data.get("name", "")
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
    block_ids = Counter(region.block_id for region in regions if region.block_id is not None)
    yield from (f"block_id {number} is used {n} times" for number, n in block_ids.items() if n > 1)
    ordered = sorted(regions, key=lambda region: region.start)
    for low, high in itertools.pairwise(ordered):
        if low.end > high.start:
            yield f"{low.name!r} ends at 0x{low.end:X}, inside {high.name!r} at 0x{high.start:X}"


def check_memories(memories: tuple[Memory, ...]) -> tuple[Memory, ...]:
    """The memories. Raises ValueError naming every name of a memory or of a region that is used twice."""
    refuse(() if memories else ["there is no memory"])
    refuse(_repeated(memory.name for memory in memories))
    refuse(_repeated(region.name for memory in memories for region in memory.regions))
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
