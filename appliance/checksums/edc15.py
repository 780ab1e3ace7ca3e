"""Bosch EDC15 V4.1 segments: two rolling 16-bit accumulators (sources: checksum-edc15).

The 2002 variant, whose seeds are derived from other segments, is not covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from appliance.checksums.checks import Layout, LayoutModule, Store, StoredCheck
from appliance.checksums.params import Params
from appliance.checksums.report import ChecksumBlock
from appliance.checksums.words import Bytes, Span, u32le, words

_BOUNDARIES = {
    "v4.1": (
        *(0x10000, 0x14000, 0x4C000, 0x50000, 0x50B80, 0x5C000),
        *(0x60000, 0x60B80, 0x6C000, 0x70000, 0x70B80, 0x7C000),
    ),
    "v4.1-rev2": (0x10000, 0x14000, 0x58000, 0x58B80, 0x64000, 0x70000, 0x70B80, 0x7C000),
    "vm": (0x0B80, 0x8000, 0x14000, 0x38B80, 0x40000),
}
_MARK, _MARK_V41_AT, _MARK_REV2_AT = b"V4.1", 0x50008, 0x58008
_IMAGE_BYTES = {"v4.1": 0x80000, "v4.1-rev2": 0x80000, "vm": 0x40000}
_UNUSED = 0xC3
_LATER_SEEDS = (0x8631, 0xEFCD)
_U16 = 0xFFFF


def rolling(image: Bytes, span: Span, seed_a: int, seed_b: int) -> int:
    """Return the segment value: words in groups of four, ending after two or four of them."""
    a, b = seed_a, seed_b
    listed = words(image, span, 2, "little")
    last = len(listed) - 2
    for at in range(0, len(listed), 4):
        a, b = _first_half(a ^ listed[at], b, listed[at + 1])
        if at == last:
            break
        a = (a - listed[at + 2] + 0xDAAC) & _U16
        b ^= listed[at + 3]
        turn = a & 0xF
        b = (b >> turn | b << (16 - turn)) & _U16
    return (b ^ 0xDF9B) << 16 | (a - 0x8631 + 0xDAAC) & _U16


def _first_half(a: int, b: int, word: int) -> tuple[int, int]:
    turn = b & 0xF
    a = (a << turn | a >> (16 - turn)) & _U16
    carry = a & 1 if turn else 0
    return a, ((b - word - carry) & _U16) ^ a


@dataclass(frozen=True)
class Edc15(LayoutModule):
    """One EDC15 flash image, offset 0 = start of flash."""

    variant: str = "auto"

    @classmethod
    def from_params(cls, params: Params) -> Edc15:
        """Read `variant`: auto (by image size and V4.1 mark), v4.1, v4.1-rev2 or vm."""
        variant = params.choice("variant", ("auto", *_BOUNDARIES), "auto")
        params.image_of(*(_IMAGE_BYTES.values() if variant == "auto" else [_IMAGE_BYTES[variant]]))
        return cls(variant)

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "edc15-v4.1"

    def layout(self, image: bytes) -> Layout:
        """Check each segment that is used; only the very first starts from zero."""
        variant = _recognised(image) if self.variant == "auto" else self.variant
        if len(image) != _IMAGE_BYTES[variant]:
            return Layout(detail=f"an EDC15 {variant} image is {_IMAGE_BYTES[variant]} bytes long")
        spans = [Span(start, end) for start, end in pairwise(_BOUNDARIES[variant])]
        blank = [span for span in spans if _blank(image, span)]
        unstored = [span for span in spans if span not in blank and _unstored(image, span)]
        used = [span for span in spans if span not in blank and span not in unstored]
        checks = tuple(_check(span, first=span is spans[0]) for span in used)
        others = tuple(
            ChecksumBlock.unknown(f"segment {span.start:#x}: no checksum stored", span.start, span.end)
            for span in unstored
        )
        return Layout(checks, others, detail=f"{variant}: {len(blank)} of {len(spans)} segments unused")


def _recognised(image: bytes) -> str:
    if len(image) == _IMAGE_BYTES["vm"]:
        return "vm"
    marked = [image[at : at + len(_MARK)] == _MARK for at in (_MARK_V41_AT, _MARK_REV2_AT)]
    return "v4.1-rev2" if marked == [False, True] else "v4.1"


def _blank(image: Bytes, span: Span) -> bool:
    """An unused segment holds nothing but fill; its last word may be anything."""
    body = image[span.start : span.end - 4]
    return body.count(_UNUSED) == len(body)


def _unstored(image: Bytes, span: Span) -> bool:
    """Content, and fill where its checksum belongs."""
    return u32le(image, span.end - 4) == int.from_bytes(bytes([_UNUSED] * 4))


def _check(span: Span, first: bool) -> StoredCheck:
    covered = Span(span.start, span.end - 4)
    seed_a, seed_b = (0, 0) if first else _LATER_SEEDS
    compute = partial(rolling, span=covered, seed_a=seed_a, seed_b=seed_b)
    return StoredCheck(f"segment {span.start:#x}", covered, Store(span.end - 4, 4, "little"), compute)
