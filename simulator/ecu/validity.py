"""The ECU's own judgement of its memory: completely programmed, and the image's checksum right."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from appliance.definitions.checksum import Checksum
from appliance.definitions.schema import Definition
from simulator.ecu import spans
from simulator.ecu.memory import FlashMemory
from simulator.ecu.nvm import Records

Order = Literal["little", "big"]


@dataclass(frozen=True, slots=True)
class StoredSum:
    """A 32-bit checksum over spans of memory and where it is stored, all as the ECU's addresses."""

    module: str
    ranges: tuple[tuple[int, int], ...]
    store_at: int
    order: Order

    def computed(self, memory: FlashMemory) -> int:
        """CRC-32 (IEEE), or the sum of the 32-bit words modulo 2^32, over the ranges in order."""
        covered = b"".join(memory.read(start, end - start) for start, end in self.ranges)
        if self.module == "crc32-at":
            return zlib.crc32(covered)
        kind = "<" if self.order == "little" else ">"
        words: tuple[int, ...] = struct.unpack(f"{kind}{len(covered) // 4}I", covered)
        return sum(words) & 0xFFFF_FFFF

    def agrees(self, memory: FlashMemory) -> bool:
        """True if the stored value is the computed one."""
        return int.from_bytes(memory.read(self.store_at, 4), self.order) == self.computed(memory)

    def store(self, memory: FlashMemory) -> None:
        """Put the right value in place, as the factory does."""
        memory.force(self.store_at, self.computed(memory).to_bytes(4, self.order))


def stored_sums(definition: Definition) -> tuple[StoredSum, ...]:
    """The checksums a simulated ECU can compute by itself, in the definition's order."""
    known = (one for one in definition.checksums if one.module in ("crc32-at", "sum32-at"))
    return tuple(_stored_sum(definition, checksum) for checksum in known)


def _stored_sum(definition: Definition, checksum: Checksum) -> StoredSum:
    start = definition.region(checksum.region).start
    shift = start - _number(checksum, "base", start)
    given = cast(Sequence[Sequence[int]], checksum.parameters["ranges"])
    return StoredSum(
        checksum.module,
        tuple((pair[0] + shift, pair[1] + shift) for pair in given),
        _number(checksum, "store_at", 0) + shift,
        "big" if checksum.parameters.get("order") == "big" else "little",
    )


def memory_is_good(
    definition: Definition, memory: FlashMemory, records: Records, image_check: bool | None
) -> bool:
    """Every writable region completely programmed, the last block last, known checksums right."""
    complete = not any(
        spans.overlaps(records.unfinished, region.start, region.end)
        for region in definition.regions
        if region.writable
    )
    right = all(own.agrees(memory) for own in stored_sums(definition))
    return complete and records.ended and image_check is not False and right


def _number(checksum: Checksum, name: str, default: int) -> int:
    value = checksum.parameters.get(name, default)
    if not isinstance(value, int):
        raise ValueError(f"checksum parameter {name!r} is not a number: {value!r}")
    return value
