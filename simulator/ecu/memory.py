"""NOR flash of a simulated ECU, kept in a file so that it outlives the process, or in memory only.

Erasing sets every bit of a sector to the erased state; programming can only move bits away from it. What an
interrupted erase leaves is garbage that depends on the seed alone.
"""

from __future__ import annotations

import mmap
import os
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.contract.places import Range
from appliance.definitions.memory import Region


class FlashMemory:
    """All regions of one ECU, addressed as the ECU addresses them."""

    def __init__(
        self,
        regions: Sequence[Region],
        build_image: Callable[[], bytes],
        path: Path | None = None,
        seed: int = 0,
    ) -> None:
        """`build_image` gives the factory content, regions in ascending order; called for a new chip only."""
        self._regions = sorted(regions, key=lambda region: region.start)
        self._starts = [region.start for region in self._regions]
        self._offsets = _running_offsets(self._regions)
        self._seed = seed
        self._cells = _open_cells(self._offsets[-1], build_image, path)

    def close(self) -> None:
        """Release the mapping; the file keeps the content."""
        self._cells.close()

    def contains(self, start: int, size: int) -> bool:
        """True if every byte of the span exists."""
        return size > 0 and self._end_of_run(start) >= start + size

    def region_at(self, address: int) -> Region:
        """The region that holds the address. Raises KeyError."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._regions[index].end:
            raise KeyError(f"no memory at 0x{address:X}")
        return self._regions[index]

    def regions_in(self, start: int, size: int) -> list[Region]:
        """Every region the span touches."""
        return [region for region in self._regions if region.start < start + size and start < region.end]

    def read(self, start: int, size: int) -> bytes:
        """Content of an existing span. Raises KeyError outside the memory."""
        offset = self._offset(start, size)
        return self._cells[offset : offset + size]

    def whole(self) -> bytes:
        """Every region in ascending order, without the gaps between them."""
        return self._cells[:]

    def program(self, start: int, data: bytes) -> bool:
        """Move bits away from the erased state; False if a cell did not hold the data afterwards."""
        offset = self._offset(start, len(data))
        erased = bytes([self.region_at(start).erased_byte]) * len(data)
        held = self._cells[offset : offset + len(data)]
        if held == erased:
            self._cells[offset : offset + len(data)] = data
            return True
        result = _programmed(held, data, erased)
        self._cells[offset : offset + len(data)] = result
        return result == data

    def force(self, start: int, data: bytes) -> None:
        """Overwrite cells as a factory programmer or a fault does, whatever they hold."""
        offset = self._offset(start, len(data))
        self._cells[offset : offset + len(data)] = data

    def sectors(self, start: int, size: int) -> list[Range] | None:
        """The sectors that fill the span exactly; None if the span cuts one."""
        chosen = [
            sector
            for region in self.regions_in(start, size)
            for sector in region.sector_ranges()
            if sector.start < start + size and start < sector.end
        ]
        exact = bool(chosen) and chosen[0].start == start and sum(one.length for one in chosen) == size
        return chosen if exact else None

    def erase_part(self, sector: Range, done: int) -> None:
        """Erase a sector as far as `done` bytes' worth of time went; anything but all leaves garbage."""
        start, size = sector.start, sector.length
        if done >= size:
            self.force(start, bytes([self.region_at(start).erased_byte]) * size)
        elif done > 0:
            self.force(start, random.Random(f"{self._seed}/{start}/{done}").randbytes(size))

    def _end_of_run(self, address: int) -> int:
        """First address that does not exist, counting on from `address` through adjoining regions."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._regions[index].end:
            return address
        end = self._regions[index].end
        for region in self._regions[index + 1 :]:
            if region.start != end:
                break
            end = region.end
        return end

    def _offset(self, start: int, size: int) -> int:
        if not self.contains(start, max(size, 1)):
            raise KeyError(f"no memory at 0x{start:X}, {size} bytes")
        index = bisect_right(self._starts, start) - 1
        return self._offsets[index] + start - self._starts[index]


def _running_offsets(regions: Sequence[Region]) -> list[int]:
    offsets = [0]
    for region in regions:
        offsets.append(offsets[-1] + region.size_bytes)
    return offsets


def _open_cells(size: int, build_image: Callable[[], bytes], path: Path | None) -> mmap.mmap:
    if path is None:
        cells = mmap.mmap(-1, size)
        cells[:] = _checked(build_image(), size)
        return cells
    if not path.exists():
        fresh = path.with_name(path.name + ".new")
        fresh.write_bytes(_checked(build_image(), size))
        fresh.replace(path)
    handle = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(handle, size)
    finally:
        os.close(handle)


def _checked(image: bytes, size: int) -> bytes:
    if len(image) != size:
        raise ValueError(f"the image has {len(image)} bytes, the regions hold {size}")
    return image


def _programmed(held: bytes, data: bytes, erased: bytes) -> bytes:
    """A bit that either side moved from the erased state is moved afterwards."""
    blank = int.from_bytes(erased, "big")
    moved = (int.from_bytes(held, "big") ^ blank) | (int.from_bytes(data, "big") ^ blank)
    return (moved ^ blank).to_bytes(len(data), "big")
