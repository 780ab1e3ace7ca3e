"""What every small hostile ECU is made of, whatever its wire: a boot loader, code and a calibration."""

from __future__ import annotations

import random
from dataclasses import dataclass

SECRET = 0x0BAD_5EED
HW, SW, BOOT, SERIAL, VIN = "HST-HW-1", "HST-SW-1", "HST-BL-1", "HST0001", "PBXTESTCAR000HST1"


@dataclass(frozen=True, slots=True)
class Part:
    """A region of memory and its equal erase sectors."""

    name: str
    start: int
    sector: int
    count: int
    block_id: int

    @property
    def size(self) -> int:
        return self.sector * self.count

    @property
    def writable(self) -> bool:
        return self.name != "boot"


@dataclass(frozen=True, slots=True)
class Shape:
    """An ECU and its memory."""

    name: str
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def place(self, name: str) -> slice:
        """Where a region lies in the whole memory."""
        at = 0
        for part in self.parts:
            if part.name == name:
                return slice(at, at + part.size)
            at += part.size
        raise KeyError(name)

    def stock(self) -> bytes:
        """A memory of this shape with a right checksum."""
        return with_checksum(self, random.Random(f"stock/{self.name}").randbytes(self.size))


def with_checksum(shape: Shape, memory: bytes) -> bytes:
    """The sum of all 32-bit words of the calibration but the last, stored in the last."""
    where = shape.place("calibration")
    words = memory[where.start : where.stop - 4]
    total = sum(int.from_bytes(words[at : at + 4]) for at in range(0, len(words), 4)) & 0xFFFF_FFFF
    return memory[: where.stop - 4] + total.to_bytes(4) + memory[where.stop :]


def three_parts(sectors: tuple[int, int, int], counts: tuple[int, int, int]) -> tuple[Part, ...]:
    """Boot loader, code and calibration, by the bytes and the number of their sectors."""
    named = zip(
        ("boot", "code", "calibration"), (0x1000, 0x8000, 0xC000), sectors, counts, (1, 2, 3), strict=True
    )
    return tuple(Part(*one) for one in named)
