"""Memory of an ECU as its definition tells it: regions, and the sectors that erase as one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

EXCLUDED_TAGS = frozenset({"immo", "immobiliser", "eeprom_key", "key", "odometer", "airbag", "crash"})
"""Contents Pitbox does not handle (design: out of bounds)."""


class RegionTag(StrEnum):
    """What a region holds."""

    BOOT = "boot"
    CODE = "code"
    CALIBRATION = "calibration"
    DATA = "data"


class Sectors(BaseModel):
    """A run of `count` equal erase sectors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    size_bytes: int = Field(ge=16)
    count: int = Field(ge=1)


class Region(BaseModel):
    """A named span of memory; its sectors, in order, fill it exactly."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=r"^[a-z0-9_]{1,30}$")
    tag: Literal["boot", "code", "calibration", "data"]
    start: int = Field(ge=0, le=0xFFFFFFFF)
    size_bytes: int = Field(ge=16, le=1 << 28)
    sectors: tuple[Sectors, ...] = Field(min_length=1)
    writable: bool = True
    readable: bool = True
    erased_byte: int = Field(default=0xFF, ge=0, le=0xFF)
    page_bytes: int = Field(default=256, ge=1)
    block_id: int | None = Field(default=None, ge=0, le=0xFF)

    @property
    def end(self) -> int:
        """First address behind the region."""
        return self.start + self.size_bytes

    @model_validator(mode="after")
    def _filled(self) -> Region:
        total = sum(run.size_bytes * run.count for run in self.sectors)
        if total != self.size_bytes:
            raise ValueError(f"sectors add up to 0x{total:X} bytes, size_bytes is 0x{self.size_bytes:X}")
        return self

    def sector_spans(self) -> tuple[tuple[int, int], ...]:
        """(start, size) of every erase sector, ascending."""
        spans, at = [], self.start
        for run in self.sectors:
            for _ in range(run.count):
                spans.append((at, run.size_bytes))
                at += run.size_bytes
        return tuple(spans)


def check_regions(regions: Sequence[Region]) -> None:
    """Raises ValueError for two regions of one name or overlapping addresses."""
    names = [region.name for region in regions]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"regions: the name {name!r} is used twice")
    ordered = sorted(regions, key=lambda region: region.start)
    for low, high in itertools.pairwise(ordered):
        if low.end > high.start:
            raise ValueError(f"regions: {low.name!r} ends at 0x{low.end:X}, inside {high.name!r}")
