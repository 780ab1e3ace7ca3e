"""Flash as it is: erasing sets whole sectors, programming only clears bits. What it holds is the truth."""

from __future__ import annotations

from collections import Counter

from tests.hostile.parts import Part, Shape

ERASED = 0xFF


class Flash:
    """The bytes of an ECU, how often each sector was erased, and which were not programmed to their end."""

    def __init__(self, shape: Shape, memory: bytes) -> None:
        self._shape = shape
        self._bytes = {}
        at = 0
        for part in shape.parts:
            self._bytes[part.start] = bytearray(memory[at : at + part.size])
            at += part.size
        self.erases: Counter[int] = Counter()
        self.incomplete: set[int] = set()

    def whole(self) -> bytes:
        """All regions in ascending order."""
        return b"".join(bytes(self._bytes[part.start]) for part in self._shape.parts)

    def part_at(self, start: int, size: int) -> Part | None:
        """The region that holds all of a span, None where there is none."""
        for part in self._shape.parts:
            if part.start <= start and start + size <= part.start + part.size and size > 0:
                return part
        return None

    def part_of_id(self, block_id: int) -> Part | None:
        return next((part for part in self._shape.parts if part.block_id == block_id), None)

    def read(self, start: int, size: int) -> bytes | None:
        part = self.part_at(start, size)
        return None if part is None else bytes(self._bytes[part.start][start - part.start :][:size])

    def erase(self, start: int, size: int, share: float = 1.0) -> None:
        """Erase whole sectors; of the last one only a share where the erase is broken off."""
        part = self._part(start, size)
        memory = self._bytes[part.start]
        for sector in range(start, start + size, part.sector):
            self.erases[sector] += 1
            self.incomplete.add(sector)
            done = int(part.sector * share)
            memory[sector - part.start : sector - part.start + done] = bytes((ERASED,)) * done

    def program(self, start: int, data: bytes) -> None:
        part = self._part(start, len(data))
        memory, at = self._bytes[part.start], start - part.start
        memory[at : at + len(data)] = bytes(a & b for a, b in zip(memory[at:], data, strict=False))

    def finish(self, start: int, size: int) -> None:
        """A download of these sectors came to its end."""
        part = self._part(start, size)
        self.incomplete -= set(range(start, start + size, part.sector))

    def sectors(self, start: int, size: int) -> bool:
        """Whether a span is whole sectors of a writable region."""
        part = self.part_at(start, size)
        return (
            part is not None
            and part.writable
            and (start - part.start) % part.sector == 0
            and size % part.sector == 0
        )

    def _part(self, start: int, size: int) -> Part:
        part = self.part_at(start, size)
        if part is None:
            raise ValueError(f"no memory at 0x{start:X}+0x{size:X}")
        return part
