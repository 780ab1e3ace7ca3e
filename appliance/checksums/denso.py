"""Subaru Denso checksum tables: sums that must come to 5AA5A55A (sources: checksum-denso)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from appliance.checksums.checks import Layout, LayoutModule, Store, StoredCheck
from appliance.checksums.params import Params
from appliance.checksums.report import ChecksumBlock, ChecksumModule
from appliance.checksums.words import Bytes, Span, affordable, sum_words, u32be

_TOTAL = 0x5AA5A55A
_RECORD_BYTES = 12
_MOST_RECORDS = 64
_UNUSED = {0x00000000, 0xFFFFFFFF}


@dataclass(frozen=True)
class Denso(LayoutModule):
    """Table of big-endian start, end, difference records at offset `table_at`.

    A range ends before its end address, or behind the word that a last byte's address lies in. One source
    says that a word-aligned end is summed too; no known implementation does.
    """

    table_at: int
    records: int
    base: int
    end_inclusive: bool

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "subaru-denso"

    def layout(self, image: bytes) -> Layout:
        """Read records up to the first unused one; a disabled first record switches all checks off."""
        listed = self._listed(image)
        if not listed:
            return Layout(detail=f"no checksum record at {self.table_at:#x}")
        if _disabled(listed[0]):
            return Layout(detail="checksums are switched off by the first record")
        spans = [self._span(record) for record in listed if not _disabled(record)]
        if not affordable([span for span in spans if span.inside(len(image))], len(image)):
            return Layout(detail="the checksum table covers the image absurdly often")
        found = [
            self._check(index, record, image) for index, record in enumerate(listed) if not _disabled(record)
        ]
        checks = tuple(item for item in found if isinstance(item, StoredCheck))
        return Layout(checks, tuple(item for item in found if isinstance(item, ChecksumBlock)))

    def _listed(self, image: bytes) -> list[tuple[int, int, int]]:
        listed = []
        for index in range(min(self.records, _MOST_RECORDS)):
            at = self.table_at + index * _RECORD_BYTES
            record = (u32be(image, at), u32be(image, at + 4), u32be(image, at + 8))
            if at + _RECORD_BYTES > len(image) or (set(record) <= _UNUSED and len(set(record)) == 1):
                break
            listed.append(record)
        return listed

    def _span(self, record: tuple[int, int, int]) -> Span:
        start, end = record[0] - self.base, record[1] - self.base
        words = (end - start) // 4 + 1 if self.end_inclusive else -((start - end) // 4)
        return Span(start, start + 4 * words)

    def _check(self, index: int, record: tuple[int, int, int], image: bytes) -> StoredCheck | ChecksumBlock:
        name, span = f"record {index}", self._span(record)
        if not span.inside(len(image)):
            return ChecksumBlock.broken(f"{name}: its range lies outside the image")
        store = Store(self.table_at + index * _RECORD_BYTES + 8, 4, "big")
        return StoredCheck(name, span, store, partial(_difference, span=span))


def _disabled(record: tuple[int, int, int]) -> bool:
    return record == (0, 0, _TOTAL)


def _difference(image: Bytes, span: Span) -> int:
    return _TOTAL - sum_words(image, span, 4, "big")


def denso_from_params(params: Params) -> ChecksumModule:
    """Read `table_at` (FFB80h), `records` (17), `base` (0) and `end` (auto, exclusive, inclusive).

    `auto` is exclusive, as every known implementation has it; inclusive is only for who has proven it.
    """
    table_at = params.offset("table_at", 0xFFB80, of_bytes=_RECORD_BYTES)
    records, base = params.number("records", 17), params.number("base", 0)
    end = params.choice("end", ("auto", "inclusive", "exclusive"), "auto")
    return Denso(table_at, records, base, end == "inclusive")
