"""ME7 multipoint tables: records of start, last, sum and complement (sources: checksum-me7)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from appliance.checksums.checks import Store, StoredCheck
from appliance.checksums.report import ChecksumBlock
from appliance.checksums.words import Bytes, Span, affordable, sum_words, u32le

_RECORD_BYTES = 16
_SUM_IN_RECORD = 8
_MOST_RECORDS = 66
_LONG_ENOUGH_UNENDED = 64
"""A table this long may fill its space and lack the end mark."""
_MOST_TABLES = 4
_BOOT_ROM_END = 0x10000
_END_MARK = 0xFFFFFFFF


def multipoint(image: bytes, base: int, not_a_record: Span) -> list[StoredCheck | ChecksumBlock]:
    """Return a check per record of every table; `not_a_record` is the main descriptor that looks like one."""
    tables = list(_tables(image, base, not_a_record))
    if not tables:
        return [ChecksumBlock.unknown("multipoint table not found", 0, len(image))]
    spans = [span for table in tables for at in table if (span := _flash_span(image, at, base))]
    if len(tables) > _MOST_TABLES or not affordable(spans, len(image)):
        return [ChecksumBlock.broken("multipoint tables cover the image absurdly often")]
    items = [_check(image, at, base) for table in tables for at in table]
    return items + [_unended(table[0]) for table in tables if not _ended(image, table)]


def _check(image: bytes, at: int, base: int) -> StoredCheck | ChecksumBlock:
    name = f"multipoint {at:#x}"
    span = _flash_span(image, at, base)
    if span is None:
        return _boot_rom(image, at, name)
    store = Store(at + _SUM_IN_RECORD, 4, "little", inverted_copy=True)
    return StoredCheck(name, span, store, partial(_sum, span=span))


def _boot_rom(image: bytes, at: int, name: str) -> ChecksumBlock:
    """Judge a record about the boot ROM, which no flash image holds: nothing of it but the record itself."""
    end = at + _RECORD_BYTES
    if _paired(image, at):
        return ChecksumBlock.unknown(f"{name} (boot ROM)", at, end)
    return ChecksumBlock.broken(f"{name} (boot ROM): sum and complement differ", at, end)


def _unended(at: int) -> ChecksumBlock:
    return ChecksumBlock.broken(f"multipoint {at:#x}: table breaks off without end mark", at, at)


def _ended(image: bytes, table: list[int]) -> bool:
    return len(table) >= _LONG_ENOUGH_UNENDED or u32le(image, table[-1] + _RECORD_BYTES) == _END_MARK


def _tables(image: bytes, base: int, not_a_record: Span) -> Iterator[list[int]]:
    """Grow a table both ways from each record whose complement holds; two such records make a table."""
    beyond, found = 0, 0
    for at in _pairs(image):
        if at < beyond or found > _MOST_TABLES or not _plausible(image, at, base):
            continue
        table = _grown(image, at, base, max(beyond, not_a_record.end if not_a_record.end <= at else 0))
        if sum(_paired(image, record) for record in table) >= 2:
            beyond, found = table[-1] + _RECORD_BYTES, found + 1
            yield table


def _grown(image: bytes, at: int, base: int, floor: int) -> list[int]:
    table = [at]
    while len(table) < _MOST_RECORDS and table[0] - _RECORD_BYTES >= floor:
        if not _plausible(image, table[0] - _RECORD_BYTES, base):
            break
        table.insert(0, table[0] - _RECORD_BYTES)
    while len(table) < _MOST_RECORDS and _plausible(image, table[-1] + _RECORD_BYTES, base):
        table.append(table[-1] + _RECORD_BYTES)
    return table


def _pairs(image: bytes) -> Iterator[int]:
    """Yield where a record would start whose complement holds, by XORing the image with itself."""
    number = int.from_bytes(image, "little")
    differences = (number ^ number >> 32).to_bytes(len(image), "little")
    at = differences.find(b"\xff" * 4, _SUM_IN_RECORD)
    while 0 <= at <= len(image) - 8:
        if at % 2 == 0:
            yield at - _SUM_IN_RECORD
        at = differences.find(b"\xff" * 4, at + 1)


def _paired(image: bytes, at: int) -> bool:
    return u32le(image, at + 8) ^ u32le(image, at + 12) == 0xFFFFFFFF


def _plausible(image: bytes, at: int, base: int) -> bool:
    if at < 0 or at + _RECORD_BYTES > len(image):
        return False
    start, last = u32le(image, at), u32le(image, at + 4)
    in_boot_rom = start < last < _BOOT_ROM_END
    return start % 2 == 0 and (in_boot_rom or _flash_span(image, at, base) is not None)


def _flash_span(image: bytes, at: int, base: int) -> Span | None:
    """Return the words a record covers, its last address included."""
    start, last = u32le(image, at) - base, u32le(image, at + 4) - base
    span = Span(start & ~1, (last & ~1) + 2)
    return span if 0 <= start < last and span.inside(len(image)) else None


def _sum(image: Bytes, span: Span) -> int:
    return sum_words(image, span, 2, "little")
