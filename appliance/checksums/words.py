"""Reading, summing and XORing 16- and 32-bit words of an image."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Literal

Bytes = bytes | bytearray
Order = Literal["little", "big"]

_TYPE_OF_WIDTH = {2: "H", 4: "I"}
_MOST_PASSES = 8
"""Honest tables cover an image two or three times over; more is a hostile header."""


@dataclass(frozen=True)
class Span:
    """Offsets [start, end) of an image."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Length in bytes; negative for an absurd span."""
        return self.end - self.start

    def inside(self, length: int) -> bool:
        """Tell whether the span holds at least one byte and all of it lies in `length` bytes."""
        return 0 <= self.start < self.end <= length

    def overlaps(self, start: int, end: int) -> bool:
        """Tell whether [start, end) shares a byte with the span."""
        return self.start < end and start < self.end


def affordable(spans: Iterable[Span], length: int) -> bool:
    """Tell whether all spans lie in `length` bytes and cover them a sane number of times."""
    listed = tuple(spans)
    return all(span.inside(length) for span in listed) and (
        sum(span.size for span in listed) <= _MOST_PASSES * length
    )


def read(image: Bytes, offset: int, width_bytes: int, order: Order) -> int:
    """Return the unsigned number at `offset`."""
    return int.from_bytes(image[offset : offset + width_bytes], order)


def u16le(image: Bytes, offset: int) -> int:
    """Return the little-endian 16-bit word at `offset`."""
    return read(image, offset, 2, "little")


def u32le(image: Bytes, offset: int) -> int:
    """Return the little-endian 32-bit word at `offset`."""
    return read(image, offset, 4, "little")


def u32be(image: Bytes, offset: int) -> int:
    """Return the big-endian 32-bit word at `offset`."""
    return read(image, offset, 4, "big")


def words(image: Bytes, span: Span, width_bytes: Literal[2, 4], order: Order) -> array[int]:
    """Return the whole words of the span; a ragged tail is left out."""
    whole = span.size - span.size % width_bytes
    listed = array(_TYPE_OF_WIDTH[width_bytes], bytes(image[span.start : span.start + whole]))
    if order != sys.byteorder:
        listed.byteswap()
    return listed


def sum_words(image: Bytes, span: Span, width_bytes: Literal[2, 4], order: Order) -> int:
    """Sum the words of the span; the caller masks to the width its family adds in."""
    return sum(words(image, span, width_bytes, order))


def xor_words(image: Bytes, span: Span, order: Order) -> int:
    """XOR the 32-bit words of the span."""
    return reduce(xor, words(image, span, 4, order), 0)


def without(span: Span, holes: Iterable[Span]) -> tuple[Span, ...]:
    """Return what is left of the span once the holes are cut out, in address order."""
    pieces, at = [], span.start
    for hole in sorted(holes, key=lambda item: item.start):
        if hole.overlaps(at, span.end):
            pieces.append(Span(at, max(at, hole.start)))
            at = hole.end
    pieces.append(Span(at, span.end))
    return tuple(piece for piece in pieces if piece.size > 0)
