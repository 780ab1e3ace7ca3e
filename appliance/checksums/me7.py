"""Bosch ME7: ROMSYS sums, main data CRCs, main program sum, multipoint table (sources: checksum-me7).

Little-endian C16x, 512 KiB or 1 MiB. Images with RSA are reported as signed and never signed anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from appliance.checksums.checks import Layout, LayoutModule, Store, StoredCheck
from appliance.checksums.crc import crc32
from appliance.checksums.me7_code import DataCrc, MainData, is_signed, main_data
from appliance.checksums.me7_points import multipoint
from appliance.checksums.params import Params
from appliance.checksums.report import ChecksumBlock
from appliance.checksums.words import Bytes, Span, affordable, sum_words, u16le, u32le

_SMALL_BYTES, _LARGE_BYTES = 0x80000, 0x100000
_ROMSYS = Span(0x8000, 0x10000)
_PAGE_BYTES = 0x2000
_PROGRAM_GAP = Span(0x10000, 0x20000)
"""Data area between the two program areas."""
_DATA_AREA = {_SMALL_BYTES: _PROGRAM_GAP, _LARGE_BYTES: Span(0x10000, 0x30000)}
"""All that a main data checksum has been seen to cover."""
_FIRST_PROGRAM = Span(0, 0xFC00)
_Item = StoredCheck | ChecksumBlock


@dataclass(frozen=True)
class Me7(LayoutModule):
    """One full ME7 flash image whose first byte stands at address `base`."""

    base: int = 0x800000
    crc_ranges: tuple[Span, ...] = ()
    crc_stores: tuple[int, ...] = ()
    signed: bool = True

    @classmethod
    def from_params(cls, params: Params) -> Me7:
        """Read `base` (800000h), where code hides the main data CRCs `crc_ranges` ([start, end) addresses)
        and `crc_stores` (an address per range), and `signed`: false where RSA is known not to be checked.
        """
        base = params.number("base", 0x800000)
        ranges = tuple(Span(span.start - base, span.end - base) for span in params.ranges("crc_ranges"))
        if any(span.start < 0 for span in ranges):
            raise ValueError("checksum module 'me7': 'crc_ranges' must not lie below 'base'")
        stores = params.numbers("crc_stores")
        params.image_of(*_DATA_AREA)
        params.inside("crc_ranges", *ranges)
        params.inside("crc_stores", *(Span(at - base, at - base + 4) for at in stores))
        return cls(base, ranges, stores, params.flag("signed", True))

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "me7"

    def layout(self, image: bytes) -> Layout:
        """List the checks in the order that settles: parameters, data, pages, program, multipoint."""
        if len(image) not in _DATA_AREA:
            return Layout(detail="an ME7 image is 512 KiB or 1 MiB long")
        if len(image) == _LARGE_BYTES and self._padded(image):
            small = self._layout_of(image[:_SMALL_BYTES])
            padding = ChecksumBlock.unknown("padding", _SMALL_BYTES, _LARGE_BYTES)
            detail = "; ".join(filter(None, ("512 KiB, padded", small.detail)))
            return Layout(small.checks, (*small.others, padding), small.signed, detail)
        return self._layout_of(image)

    def _layout_of(self, image: bytes) -> Layout:
        main, main_at = self._main_program(image)
        items = [
            _startup(),
            self._parameters(image),
            *self._main_data(image),
            _program_pages(image),
            main,
            *multipoint(image, self.base, Span(main_at, main_at + 16)),
        ]
        signed = self.signed and is_signed(image, self.base)
        if signed:
            items.append(ChecksumBlock.unknown("RSA signature", 0, len(image)))
        checks = tuple(item for item in items if isinstance(item, StoredCheck))
        others = tuple(item for item in items if isinstance(item, ChecksumBlock))
        detail = "signed: the program checks RSA, modified data will not be accepted" if signed else ""
        return Layout(checks, others, signed, detail)

    def _padded(self, image: bytes) -> bool:
        """A small image whose program ends where fill begins; a large one may have a blank half too."""
        if image.count(image[-1], _SMALL_BYTES) < _SMALL_BYTES:
            return False
        main, _ = self._main_program(image[:_SMALL_BYTES])
        return isinstance(main, StoredCheck)

    def _parameters(self, image: bytes) -> _Item:
        """Sum of the first and last word of the parameter page; the header points at page and sum."""
        store_at = u32le(image, 0x8010) - self.base
        first, last = u32le(image, 0x8030) - self.base, u32le(image, 0x8034) - self.base
        span = Span(first, last + 2)
        if not span.inside(len(image)) or not Span(store_at, store_at + 4).inside(len(image)):
            return ChecksumBlock.broken("parameter page: absurd pointers")
        return StoredCheck("parameter page", span, Store(store_at, 4, "little"), partial(_ends, span=span))

    def _main_data(self, image: bytes) -> list[_Item]:
        area = _DATA_AREA[len(image)]
        found = self._declared(main_data(image, self.base))
        if found is None:
            return [ChecksumBlock.unknown("main data: as many stores as ranges needed", area.start, area.end)]
        items = _data_checks(found, len(image))
        if not (found.recognised or found.located):
            items.append(ChecksumBlock.unknown("main data: ranges not found", area.start, area.end))
        return items

    def _declared(self, found: MainData) -> MainData | None:
        """What the definition knows better than the code tells; None where the two do not fit together."""
        if self.crc_ranges:
            ranges = tuple(DataCrc(span, None) for span in self.crc_ranges)
            found = MainData(ranges, False, True, found.sums)
        if not self.crc_stores:
            return found
        if len(self.crc_stores) != len(found.ranges):
            return None
        stores = [address - self.base for address in self.crc_stores]
        ranges = tuple(DataCrc(item.span, store) for item, store in zip(found.ranges, stores, strict=True))
        return replace(found, ranges=ranges)

    def _main_program(self, image: bytes) -> tuple[_Item, int]:
        """Word sum over two described ranges, stored with its complement 20h before the end."""
        described = b"".join(
            (self.base + offset).to_bytes(4, "little") for offset in (0, _FIRST_PROGRAM.end - 1, 0x20000)
        )
        at = image.find(described)
        second = Span(0x20000, u32le(image, at + 12) - self.base + 1)
        if at < 0 or not second.inside(len(image)):
            return ChecksumBlock.broken("main program: descriptor missing or damaged"), 0
        spans = (_FIRST_PROGRAM, second)
        store = Store(len(image) - 0x20, 4, "little", inverted_copy=True)
        hull = Span(_FIRST_PROGRAM.start, second.end)
        return StoredCheck("main program", hull, store, partial(_word_sum, spans=spans)), at


def _startup() -> StoredCheck:
    return StoredCheck("startup", _ROMSYS, Store(0x8038, 4, "little"), partial(_ends, span=_ROMSYS))


def _program_pages(image: bytes) -> StoredCheck:
    """First and last word of every 8 KiB page outside the data area."""
    starts = [at for at in range(0, len(image), _PAGE_BYTES) if not _PROGRAM_GAP.overlaps(at, at + 1)]

    def summed(data: Bytes) -> int:
        return sum(_ends(data, Span(at, at + _PAGE_BYTES)) for at in starts)

    return StoredCheck("program pages", Span(0, len(image)), Store(0x803C, 4, "little"), summed)


def _data_checks(found: MainData, length: int) -> list[_Item]:
    spans = [item.span for item in found.ranges]
    if not affordable(spans, length) or any(
        item.store_at is not None and not Span(item.store_at, item.store_at + 4).inside(length)
        for item in found.ranges
    ):
        return [ChecksumBlock.broken("main data: absurd ranges")]
    items: list[_Item] = []
    for index, item in enumerate(found.ranges):
        covered = tuple(spans[: index + 1]) if found.chained else (item.span,)
        if item.store_at is not None:
            store = Store(item.store_at, 4, "little")
            items.append(
                StoredCheck(f"main data CRC {index}", _hull(covered), store, partial(_crc, spans=covered))
            )
        elif not (found.chained and found.located):
            items.append(ChecksumBlock.unknown(f"main data CRC {index}", item.span.start, item.span.end))
    return items + _byte_sum(found, length)


def _byte_sum(found: MainData, length: int) -> list[_Item]:
    spans = tuple(item.span for item in found.ranges[1 if found.chained else 0 :])
    if not found.sums or not spans:
        return []
    hull = _hull(spans)
    if len(found.sums) > 1 or found.sums[0] + 8 > length:
        return [ChecksumBlock.unknown("main data sum: its place is not clear", hull.start, hull.end)]
    store = Store(found.sums[0], 4, "little", inverted_copy=True)
    return [StoredCheck("main data sum", hull, store, partial(_bytes_sum, spans=spans))]


def _hull(spans: tuple[Span, ...]) -> Span:
    return Span(min(span.start for span in spans), max(span.end for span in spans))


def _ends(image: Bytes, span: Span) -> int:
    return u16le(image, span.start) + u16le(image, span.end - 2)


def _word_sum(image: Bytes, spans: tuple[Span, ...]) -> int:
    return sum(sum_words(image, span, 2, "little") for span in spans)


def _bytes_sum(image: Bytes, spans: tuple[Span, ...]) -> int:
    return sum(sum(image[span.start : span.end]) for span in spans)


def _crc(image: Bytes, spans: tuple[Span, ...]) -> int:
    return crc32(b"".join(image[span.start : span.end] for span in spans))
