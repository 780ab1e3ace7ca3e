"""Volkswagen gearbox and all-wheel-drive blocks: DQ250, DQ381, Haldex gen 5 (sources: checksum-dsg)."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.checksums.checks import Layout, LayoutModule, Store, StoredCheck
from appliance.checksums.crc import crc32, jamcrc
from appliance.checksums.params import Params
from appliance.checksums.words import Span, sum_words, u32be, u32le, without

_DQ381_HEADER_BYTES = 0x48
_HALDEX_SIZE_IN_RECORD, _HALDEX_SUM_IN_RECORD = 4, 8
_HALDEX_RECORD_BYTES = 10
_HALDEX_RECORDS_AT = (0x10, 0x200, 0x0)
"""Calibration, program and version block."""


@dataclass(frozen=True)
class Dq250(LayoutModule):
    """JAMCRC of all but the last four bytes, stored there little-endian."""

    @classmethod
    def from_params(cls, _params: Params) -> Dq250:
        """Build without parameters."""
        return cls()

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "vw-dq250"

    def layout(self, image: bytes) -> Layout:
        """Cover the whole block."""
        end = len(image) - 4
        if end <= 0:
            return Layout(detail="shorter than its checksum")
        check = StoredCheck(
            "block JAMCRC", Span(0, end), Store(end, 4, "little"), lambda data: jamcrc(data[:end])
        )
        return Layout((check,))


@dataclass(frozen=True)
class Dq381(LayoutModule):
    """CRC-32 from the address at 38h to the one at 3Ch (inclusive), stored big-endian at 44h."""

    base: int

    @classmethod
    def from_params(cls, params: Params) -> Dq381:
        """Read `base`, the address of the block's first byte."""
        return cls(params.number("base"))

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "vw-dq381"

    def layout(self, image: bytes) -> Layout:
        """Follow the two pointers in the header."""
        if len(image) < _DQ381_HEADER_BYTES:
            return Layout(detail="shorter than its header")
        span = Span(u32be(image, 0x38) - self.base, u32be(image, 0x3C) - self.base + 1)
        if not span.inside(len(image)):
            return Layout(detail="its range lies outside the block")
        store = Store(0x44, 4, "big")
        return Layout(
            (StoredCheck("block CRC", span, store, lambda data: crc32(data[span.start : span.end])),)
        )


@dataclass(frozen=True)
class Haldex(LayoutModule):
    """Complement of the 16-bit sum of everything but a ten-byte record that holds address, size and sum."""

    record_at: int | None = None

    @classmethod
    def from_params(cls, params: Params) -> Haldex:
        """Read `record_at`, the offset of the record; without it the one that gives the block's own size."""
        return cls(params.optional_offset("record_at", of_bytes=_HALDEX_RECORD_BYTES))

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "vw-haldex5"

    def layout(self, image: bytes) -> Layout:
        """Sum around the record; only an even one leaves whole words on both sides."""
        record_at = _haldex_record(image) if self.record_at is None else self.record_at
        if record_at is None:
            return Layout(detail="no checksum record that gives the block's size")
        record = Span(record_at, record_at + _HALDEX_RECORD_BYTES)
        pieces = without(Span(0, len(image)), [record])
        if not record.inside(len(image)) or record.start % 2 or len(image) % 2 or not pieces:
            return Layout(detail="its checksum record does not fit the block")
        store = Store(record_at + _HALDEX_SUM_IN_RECORD, 2, "little")
        check = StoredCheck(
            "block sum",
            Span(0, len(image)),
            store,
            lambda data: ~sum(sum_words(data, piece, 2, "little") for piece in pieces),
        )
        return Layout((check,))


def _haldex_record(image: bytes) -> int | None:
    """The only one of the known places whose size field is the length of the image."""
    fitting = [
        at
        for at in _HALDEX_RECORDS_AT
        if at + _HALDEX_RECORD_BYTES <= len(image) and u32le(image, at + _HALDEX_SIZE_IN_RECORD) == len(image)
    ]
    return fitting[0] if len(fitting) == 1 else None
