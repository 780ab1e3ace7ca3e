"""Where something is in an ECU: always a memory, a start and a length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from typing_extensions import TypedDict

FLASH = "flash"
"""The one memory of an ECU, in everything that was written before memories had names."""


class Place(TypedDict):
    """A range as it is told and stored."""

    memory: str
    start: int
    length: int


Start = tuple[str, int]
"""Memory and first address: the key under which the bytes of a range are kept."""


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """`length` bytes from address `start` of one memory, which is an address space of its own."""

    memory: str
    start: int
    length: int

    def __str__(self) -> str:
        return f"{self.memory} 0x{self.start:08X}+0x{self.length:X}"

    @classmethod
    def between(cls, memory: str, start: int, end: int) -> Range:
        """From `start` up to, and without, `end`."""
        return cls(memory, start, end - start)

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Range:
        """From how it is stored and sent: its fields by name. Raises ValueError for anything else."""
        match dict(value):
            case {"memory": str(memory), "start": int(start), "length": int(length), **rest} if not rest:
                if bool not in (type(start), type(length)):
                    return cls(memory, start, length)
        raise ValueError(f"{value} is no range of a memory")

    def as_dict(self) -> Place:
        """As it is told and stored."""
        return Place(memory=self.memory, start=self.start, length=self.length)

    @property
    def end(self) -> int:
        """First address behind the range."""
        return self.start + self.length

    @property
    def at(self) -> Start:
        """Where it begins."""
        return self.memory, self.start

    def contains(self, other: Range) -> bool:
        """Whether all of the other lies inside."""
        return self.memory == other.memory and self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Range) -> bool:
        """Whether they share a byte."""
        return self.memory == other.memory and max(self.start, other.start) < min(self.end, other.end)

    def part(self, offset: int, length: int) -> Range:
        """`length` bytes of it from `offset` on, or what is left of it there."""
        return Range(self.memory, self.start + offset, min(length, self.length - offset))

    def common(self, other: Range) -> Range | None:
        """What both have, if anything."""
        if not self.overlaps(other):
            return None
        return Range.between(self.memory, max(self.start, other.start), min(self.end, other.end))
