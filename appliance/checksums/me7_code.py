"""What ME7 code tells about its data checksums: ranges, stores, and the RSA key (sources: checksum-me7).

Addresses stand in C16x `mov Rn, #word` pairs (E6 Fn low, E6 Fm high) of the routines that check them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from appliance.checksums.words import Span, u16le, u32be

_HIGH = rb"[\x80-\x8f]\x00"


def _code(pattern: bytes) -> re.Pattern[bytes]:
    """Compile so that every place is seen, also one inside another match."""
    return re.compile(b"(?=" + pattern + b")", re.DOTALL)


_LENGTH_NIBBLE = rb"[\x0e\x1e\x2e\x3e\x4e\x5e\x6e\x7e\x8e\x9e\xae\xbe\xce\xde\xee\xfe]"
_PRE = _code(rb"\xe6\xfc..\xe6\xfd" + _HIGH + rb"\xe0" + _LENGTH_NIBBLE + rb"\xda...\xf6\xf4")
_START = _code(rb"\xe6\xf8..\xe6\xf9" + _HIGH + rb"\xf2\xf4")
_LAST = _code(rb"\x10\x9b\xe6\xf4..\xe6\xf5" + _HIGH)
_CRC_STORE = _code(rb"\xf6\xf5..\xe6\xf4..\xe6\xf5" + _HIGH + rb"\xda\x00")
_SUM_STORES = tuple(
    _code(head + rb"\xe6\xf4..\xe6\xf5" + _HIGH + rb"\xda\x00") for head in (rb"\xe1\x0c", rb"\x04\x00")
)
_RSA_BLOCKS = _code(rb"\x80\x00\x88\x40\xe6\xf4..\xe6\xf5" + _HIGH + rb"\x88\x50")
_RSA_EXPONENT = _code(rb"\xe0\x44\x88\x40\xe6\xf4..\xe6\xf5" + _HIGH + rb"\x88\x50")
_MOST_RANGES = 4
_STORES = 3
_DEFAULT_RANGES = (Span(0x10000, 0x14000), Span(0x14300, 0x17F68), Span(0x18191, 0x1FC00))
"""Ranges of images whose routines are not recognised, some 1 MiB images included; their stores prove them."""


@dataclass(frozen=True)
class DataCrc:
    """One CRC range; `store_at` None where it only seeds the next, or where the code hides it."""

    span: Span
    store_at: int | None


@dataclass(frozen=True)
class MainData:
    """CRC ranges in order, whether each seeds the next, and the place of the byte sum over them.

    `recognised` is whether the code gave the ranges; `sums` are all places where a byte sum may be.
    """

    ranges: tuple[DataCrc, ...]
    chained: bool
    recognised: bool
    sums: tuple[int, ...]

    @property
    def located(self) -> bool:
        """Tell whether the code gave the stores."""
        return any(item.store_at is not None for item in self.ranges)


def main_data(image: bytes, base: int) -> MainData:
    """Read ranges and stores out of the checking routines."""
    recognised = _ranges(image, base)
    spans = recognised or _DEFAULT_RANGES
    stores = _stores(image, base, len(spans))
    listed = [DataCrc(span, store) for span, store in zip(spans, stores, strict=True)]
    before = _operands(image, _PRE, base, 0)
    if len(before) == 1:
        length = image[_even_matches(image, _PRE)[0] + 9] >> 4
        listed.insert(0, DataCrc(Span(before[0], before[0] + length), None))
    return MainData(tuple(listed), len(before) == 1, bool(recognised), _sum_stores(image, base))


def is_signed(image: bytes, base: int) -> bool:
    """Tell whether the program checks an RSA signature: key, signature and exponent 3 are all found."""
    blocks, exponent = _operands(image, _RSA_BLOCKS, base, 4), _operands(image, _RSA_EXPONENT, base, 4)
    return len(blocks) == 2 and len(exponent) == 1 and u32be(image, exponent[0]) == 3


def _ranges(image: bytes, base: int) -> tuple[Span, ...]:
    starts, lasts = _operands(image, _START, base, 0), _operands(image, _LAST, base, 2)
    if starts and len(starts) == len(lasts) <= _MOST_RANGES:
        return tuple(Span(start, last + 1) for start, last in zip(starts, lasts, strict=True))
    return ()


def _stores(image: bytes, base: int, ranges: int) -> list[int | None]:
    """Return one store per range; of four ranges the last two share the third store."""
    found: list[int | None] = [at for at in _operands(image, _CRC_STORE, base, 4) if at % 2 == 0]
    if len(found) != _STORES or ranges < _STORES:
        return [None] * ranges
    return found if ranges == _STORES else [found[0], found[1], None, found[2]]


def _sum_stores(image: bytes, base: int) -> tuple[int, ...]:
    """Return the places of the first routine that is found; of more than one nobody knows which holds."""
    for pattern in _SUM_STORES:
        found = tuple(at for at in _operands(image, pattern, base, 2) if at % 2 == 0)
        if found:
            return found
    return ()


def _even_matches(image: bytes, pattern: re.Pattern[bytes]) -> list[int]:
    return [match.start() for match in pattern.finditer(image) if match.start() % 2 == 0]


def _operands(image: bytes, pattern: re.Pattern[bytes], base: int, at: int) -> list[int]:
    """Return the image offsets that the move pair at `at` of each match loads."""
    addresses = [
        u16le(image, start + at + 2) | u16le(image, start + at + 6) << 16
        for start in _even_matches(image, pattern)
    ]
    return [address - base for address in addresses if base < address < base + len(image)]
