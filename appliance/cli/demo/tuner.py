"""The demo's tuner: a few values of the calibration changed, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from appliance.contract.told import DefinitionTold, RegionTold

_SECTORS_TOUCHED = 3
_BYTES_CHANGED = 48
_PROGRAMMED_SHARE = 0.8
"""Invented images are blank towards the end of a region; nobody tunes there."""


@dataclass(frozen=True, slots=True)
class Edits:
    """A tuned region, how many bytes differ, and where the power cut will strike, in programmed bytes."""

    content: bytes
    changed_bytes: int
    sectors: int
    cut_at_byte: int


def calibration_of(definition: DefinitionTold) -> RegionTold:
    """The region a tuner works in. Raises LookupError for a definition without one."""
    return next(region for region in definition["regions"] if region["tag"] == "calibration")


def edit(content: bytes, sector_sizes: Sequence[int], seed: int) -> Edits:
    """Change some values in up to three sectors; the cut falls into the middle one of them."""
    dice = random.Random(f"tuner/{seed}")
    starts = [0, *accumulate(sector_sizes)][:-1]
    used = [index for index, start in enumerate(starts) if start < len(content) * _PROGRAMMED_SHARE]
    touched = sorted(dice.sample(used, min(_SECTORS_TOUCHED, len(used))))
    tuned = bytearray(content)
    for index in touched:
        at = starts[index] + int(sector_sizes[index] * dice.uniform(0.25, 0.7))
        for offset in range(at, at + _BYTES_CHANGED):
            tuned[offset] ^= dice.randrange(1, 0x100)
    sizes = [sector_sizes[index] for index in touched]
    middle = len(sizes) // 2
    cut = sum(sizes[:middle]) + int(sizes[middle] * dice.uniform(0.3, 0.7))
    return Edits(bytes(tuned), len(touched) * _BYTES_CHANGED, len(touched), cut)


def slice_of_srec(text: str, start: int, size: int) -> bytes:
    """Bytes of a range of an S-record file with 32-bit addresses. Raises ValueError for a gap."""
    found, filled = bytearray(size), 0
    for line in text.splitlines():
        if not line.startswith("S3"):
            continue
        at, data = int(line[4:12], 16) - start, bytes.fromhex(line[12:-2])
        inside = data[max(0, -at) : max(0, size - at)]
        if inside:
            found[max(0, at) : max(0, at) + len(inside)] = inside
            filled += len(inside)
    if filled != size:
        raise ValueError(f"{filled} of {size} bytes at 0x{start:X} are in the file")
    return bytes(found)
