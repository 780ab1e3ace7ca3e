"""GM E38: six segments, each with a CRC-16 and a 16-bit sum over it (sources: checksum-gm-e38)."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.checksums.checks import Layout, LayoutModule, Store, StoredCheck
from appliance.checksums.crc import crc16_arc
from appliance.checksums.params import Params
from appliance.checksums.report import ChecksumBlock
from appliance.checksums.words import Bytes, Span, affordable, sum_words, u32be

_POINTERS = (0x24, 0x48, 0x6B, 0x8E, 0xB1, 0xD4)
"""Where the index keeps each segment's first and last address."""
_INDEX_BYTES = 0xDC
_CVN_AT, _CVN_RESUMES_AT = 0x1E, 0x20
_SHORTEST_BYTES = 0x25


@dataclass(frozen=True)
class GmE38(LayoutModule):
    """A full E38 image, offset 0 = start of flash."""

    index_at: int = 0x10000

    @classmethod
    def from_params(cls, params: Params) -> GmE38:
        """Read `index_at` (10000h), the offset of the segment index."""
        return cls(params.offset("index_at", 0x10000, of_bytes=_INDEX_BYTES))

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "gm-e38"

    def layout(self, image: bytes) -> Layout:
        """Follow the index; once one segment is sound, an absurd pointer is damage and not absence."""
        if self.index_at + _INDEX_BYTES > len(image):
            return Layout(detail="the image is shorter than its segment index")
        spans = [self._span(image, at) for at in _POINTERS]
        sound = [span for span in spans if _sound(span, len(image))]
        if not sound or not affordable(sound, len(image)):
            return Layout(detail="no segment index found")
        checks = [check for span in sound for check in _segment(spans.index(span) + 1, span)]
        broken = [
            ChecksumBlock.broken(f"segment {index}: absurd pointers")
            for index, span in enumerate(spans, 1)
            if span not in sound
        ]
        return Layout(tuple(checks), tuple(broken))

    def _span(self, image: bytes, pointer_at: int) -> Span:
        at = self.index_at + pointer_at
        return Span(u32be(image, at), u32be(image, at + 4) + 1)


def _sound(span: Span, length: int) -> bool:
    return span.inside(length) and span.start % 2 == 0 and span.end % 2 == 0 and span.size >= _SHORTEST_BYTES


def _segment(index: int, span: Span) -> tuple[StoredCheck, StoredCheck]:
    """Return the CRC, then the sum that covers it."""
    cvn = Store(span.start + _CVN_AT, 2, "little")
    total = Store(span.start, 2, "big")
    return (
        StoredCheck(f"segment {index} CRC", span, cvn, lambda image: _cvn(image, span)),
        StoredCheck(f"segment {index} sum", span, total, lambda image: _negated_sum(image, span)),
    )


def _cvn(image: Bytes, span: Span) -> int:
    head = image[span.start + 2 : span.start + _CVN_AT]
    return crc16_arc(head + image[span.start + _CVN_RESUMES_AT : span.end])


def _negated_sum(image: Bytes, span: Span) -> int:
    return -sum_words(image, Span(span.start + 2, span.end), 2, "big")
