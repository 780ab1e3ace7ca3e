"""Nissan sum and XOR words, and their ALT2 form with two 16-bit sums (sources: checksum-nissan)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.checksums.checks import Layout, LayoutModule, Store, StoredCheck
from appliance.checksums.params import Params
from appliance.checksums.words import Bytes, Span, sum_words, without, xor_words


@dataclass(frozen=True)
class NissanStd(LayoutModule):
    """Big-endian 32-bit sum and XOR over `span` without the words that hold them."""

    span: Span
    sum_at: int
    xor_at: int

    @classmethod
    def from_params(cls, params: Params) -> NissanStd:
        """Read `start`, `end` (exclusive), `sum_at` and `xor_at`, all offsets into the image."""
        span = Span(params.number("start"), params.number("end"))
        stores = params.number("sum_at"), params.number("xor_at")
        if span.size <= 0 or any(at % 4 for at in (span.start, span.end, *stores)):
            raise ValueError(
                "checksum module 'nissan': 'start' to 'end', 'sum_at', 'xor_at' must be whole words"
            )
        params.inside("end", span)
        params.inside("sum_at", Span(stores[0], stores[0] + 4))
        params.inside("xor_at", Span(stores[1], stores[1] + 4))
        return cls(span, *stores)

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "nissan-std"

    def layout(self, image: bytes) -> Layout:
        """Sum and XOR the same words."""
        return Layout(self._pair(image, (), self.span), detail=self._misfit(image))

    def _pair(self, image: bytes, holes: tuple[Span, ...], span: Span) -> tuple[StoredCheck, ...]:
        if self._misfit(image):
            return ()
        pieces = without(
            span, (*holes, Span(self.sum_at, self.sum_at + 4), Span(self.xor_at, self.xor_at + 4))
        )
        return (
            _stored("sum", span, self.sum_at, 4, lambda data: _sum(data, pieces, 4)),
            _stored("XOR", span, self.xor_at, 4, lambda data: _xor(data, pieces)),
        )

    def _misfit(self, image: bytes) -> str:
        last = max(self.span.end, self.sum_at + 4, self.xor_at + 4)
        return "" if last <= len(image) else "the image is shorter than the range to check"


@dataclass(frozen=True)
class NissanAlt2(NissanStd):
    """STD from the second word on, plus a 16-bit sum stored at the start of each of two parts."""

    split_at: int

    @classmethod
    def from_params(cls, params: Params) -> NissanAlt2:
        """Read the STD parameters and `split_at` (20000h), the start of the code part."""
        std = NissanStd.from_params(params)
        split_at = params.number("split_at", 0x20000)
        if split_at % 4 or not std.span.start + 4 <= split_at < std.span.end:
            raise ValueError(
                "checksum module 'nissan-alt2': parameter 'split_at' must be a word of the range"
            )
        return cls(std.span, std.sum_at, std.xor_at, split_at)

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "nissan-alt2"

    def layout(self, image: bytes) -> Layout:
        """Settle the 32-bit words first: the calibration sum covers them."""
        words = Span(self.span.start + 4, self.span.end)
        pair = self._pair(image, (Span(self.split_at, self.split_at + 4),), words)
        parts = (
            ("calibration sum", Span(self.span.start, self.split_at)),
            ("code sum", Span(self.split_at, self.span.end)),
        )
        halves = tuple(_half(name, part) for name, part in parts) if pair else ()
        return Layout(pair + halves, detail=self._misfit(image))


def _half(name: str, part: Span) -> StoredCheck:
    covered = (Span(part.start + 2, part.end),)
    return _stored(name, covered[0], part.start, 2, lambda data: _sum(data, covered, 2))


def _stored(name: str, span: Span, at: int, width_bytes: int, compute: Callable[[Bytes], int]) -> StoredCheck:
    return StoredCheck(name, span, Store(at, width_bytes, "big"), compute)


def _sum(image: Bytes, pieces: tuple[Span, ...], width_bytes: int) -> int:
    return sum(sum_words(image, piece, 4 if width_bytes == 4 else 2, "big") for piece in pieces)


def _xor(image: Bytes, pieces: tuple[Span, ...]) -> int:
    value = 0
    for piece in pieces:
        value ^= xor_words(image, piece, "big")
    return value
