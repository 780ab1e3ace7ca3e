"""Subaru Hitachi M32R, 512 KiB: sum and XOR pairs and a balanced 16-bit sum (sources: checksum-hitachi)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.checksums.ambiguous_layout import EitherReading
from appliance.checksums.checks import Layout, LayoutModule, Store, StoredCheck
from appliance.checksums.params import Params
from appliance.checksums.report import ChecksumBlock, ChecksumModule, Verdict
from appliance.checksums.words import Bytes, Span, read, sum_words, without, words, xor_words

_IMAGE_BYTES = 0x80000
_HOLE = Span(0x10000, 0x10004)
"""Excluded from every sum: byte sum and byte XOR of everything else stand there."""
_LOADER = (Span(0x6000, 0x8000),)
_MAIN = without(Span(0, 0x7FFF0), [_HOLE])
_BALANCED = without(Span(0x4000, _IMAGE_BYTES), [_HOLE])
_EVERYTHING = without(Span(0, _IMAGE_BYTES), [_HOLE])
_BALANCE_AT = 0x7FFFA
_BALANCE = 0x5AA5


@dataclass(frozen=True)
class _Balance:
    """16-bit sum that an otherwise unused word brings to 5AA5."""

    low_halves_only: bool

    def block(self, image: Bytes) -> ChecksumBlock:
        """Judge the balance; stored is what the sum must come to."""
        total = self._total(image)
        verdict = Verdict.OK if total == _BALANCE else Verdict.FAIL
        span = Span(_BALANCED[0].start, _BALANCED[-1].end)
        return ChecksumBlock("balance", span.start, span.end, _BALANCE, total, verdict, _BALANCE_AT)

    def settle(self, image: bytearray) -> None:
        """Move the balancing word by what is missing."""
        word = read(image, _BALANCE_AT, 2, "big") + _BALANCE - self._total(image)
        image[_BALANCE_AT : _BALANCE_AT + 2] = (word & 0xFFFF).to_bytes(2, "big")

    def _total(self, image: Bytes) -> int:
        step = 2 if self.low_halves_only else 1
        return sum(sum(words(image, span, 2, "big")[step - 1 :: step]) for span in _BALANCED) & 0xFFFF


@dataclass(frozen=True)
class HitachiM32r(LayoutModule):
    """Sources name a 16-bit sum but add 32-bit words in 16 bits, which takes their low halves only.

    The bytes' sum and XOR are judged by one source, which never corrects them: an image that does not keep
    them leaves the place to the ECU (`keeps_bytes`).
    """

    low_halves_only: bool
    keeps_bytes: bool

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "subaru-hitachi-m32r"

    def layout(self, image: bytes) -> Layout:
        """List the two pairs, over their stores the balance, and over all of it the bytes."""
        if len(image) != _IMAGE_BYTES:
            return Layout(detail=f"a Hitachi M32R image is {_IMAGE_BYTES} bytes long")
        pairs = (*_pair("loader", _LOADER, 0x7FFE8), *_pair("main", _MAIN, 0x7FFF0))
        checks = (*pairs, _Balance(self.low_halves_only))
        if self.keeps_bytes:
            store = Store(_HOLE.start, 2, "big")
            return Layout((*checks, StoredCheck("bytes", Span(0, _IMAGE_BYTES), store, _bytes)))
        return Layout(checks, (ChecksumBlock.unknown("bytes: not kept", _HOLE.start, _HOLE.end),))


def _bytes(image: Bytes) -> int:
    """Sum of the bytes above, XOR of the bytes below."""
    total, word = 0, 0
    for span in _EVERYTHING:
        total += sum(image[span.start : span.end])
        word ^= xor_words(image, span, "big")
    word ^= word >> 16
    return (total & 0xFF) << 8 | (word ^ word >> 8) & 0xFF


def _pair(name: str, spans: tuple[Span, ...], store_at: int) -> tuple[StoredCheck, StoredCheck]:
    def summed(image: Bytes) -> int:
        return sum(sum_words(image, span, 4, "big") for span in spans)

    def xored(image: Bytes) -> int:
        value = 0
        for span in spans:
            value ^= xor_words(image, span, "big")
        return value

    return _stored(f"{name} sum", spans, store_at, summed), _stored(f"{name} XOR", spans, store_at + 4, xored)


def _stored(
    name: str, spans: tuple[Span, ...], store_at: int, compute: Callable[[Bytes], int]
) -> StoredCheck:
    return StoredCheck(name, Span(spans[0].start, spans[-1].end), Store(store_at, 4, "big"), compute)


def hitachi_from_params(params: Params) -> ChecksumModule:
    """Read `balance`: auto (low-halves, as every known implementation has it), low-halves or words.

    Whether the bytes' sum and XOR are kept is what the stock image says.
    """
    params.image_of(_IMAGE_BYTES)
    low_halves = params.choice("balance", ("auto", "words", "low-halves"), "auto") != "words"
    return EitherReading((HitachiM32r(low_halves, True), HitachiM32r(low_halves, False)))
