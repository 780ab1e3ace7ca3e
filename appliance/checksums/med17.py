"""Bosch MED17/EDC17 blocks on TriCore: CRC32, ADD32 and ADD16 records (sources: checksum-med17).

A block carries an OEM signature in front of its adjust dword. Signatures are reported, never made:
a corrected block is accepted only by an ECU that does not check them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from appliance.checksums.checks import Layout, LayoutModule
from appliance.checksums.crc import crc32_register
from appliance.checksums.errors import ChecksumUnsupported
from appliance.checksums.gf2 import crc32_adjustment
from appliance.checksums.params import Params
from appliance.checksums.report import ChecksumBlock, Verdict
from appliance.checksums.words import Bytes, Span, sum_words, u16le, u32le, without
from appliance.contract.phrases import phrase

_FAMILY = "med17"
_MAGIC_PAIR = bytes.fromhex("fecadefa feaffeca")
"""Usual start value FADECAFE and expected value CAFEAFFE of the first record."""
_HEADER = re.compile(
    rb"(?=[\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0\xf1]\x00.\x00"
    rb".{11}[\x80\xa0].{48}(?:\xfe\xca\xde\xfa|.{4}\xfe\xaf\xfe\xca))",
    re.DOTALL,
)
_END_MARK = 0xDEADBEEF
_BLANK = {0xFFFFFFFF, 0xAFAFAFAF}
_RECORDS_AT, _RECORD_BYTES, _MOST_RECORDS = 0x34, 32, 16
_SIGNATURE_BYTES = 128
_SEGMENT = 0x0FFFFFFF
"""TriCore shows one flash at 8xxxxxxx (cached) and Axxxxxxx (not cached): compare without that nibble."""
_U32 = 0xFFFFFFFF


class _Algorithm(IntEnum):
    CRC32 = 0x00
    ADD32 = 0x01
    ADD16 = 0x10


@dataclass(frozen=True)
class _Record:
    """One checksum record; `span` in the image, `store_at` the dword that a correction solves."""

    name: str
    algorithm: _Algorithm
    span: Span
    init: int
    expected: int
    store_at: int

    @property
    def target(self) -> int:
        """Value the whole span must come to."""
        return self.expected ^ _U32 if self.algorithm is _Algorithm.CRC32 else self.expected

    def computed(self, image: Bytes) -> int:
        """Return the value the span comes to."""
        if self.algorithm is _Algorithm.CRC32:
            return crc32_register(image[self.span.start : self.span.end], self.init)
        if self.algorithm is _Algorithm.ADD32:
            return (self.init + sum_words(image, self.span, 4, "little")) & _U32
        last = self.span.end - 2
        words = sum_words(image, Span(self.span.start, last), 2, "little")
        return (self.init + words + (u16le(image, last) << 16)) & _U32

    def block(self, image: Bytes) -> ChecksumBlock:
        """Judge the record."""
        computed = self.computed(image)
        verdict = Verdict.OK if computed == self.target else Verdict.FAIL
        return ChecksumBlock(
            self.name, self.span.start, self.span.end, self.target, computed, verdict, self.store_at
        )

    def settle(self, image: bytearray) -> None:
        """Solve the adjust dword, or the last dword of a sum."""
        if not self.span.start <= self.store_at <= self.span.end - 4:
            if self.computed(image) == self.target:
                return
            raise ChecksumUnsupported(_FAMILY, phrase("checksum.adjust_outside", block=self.name))
        image[self.store_at : self.store_at + 4] = self._solved(image).to_bytes(4, "little")

    def _solved(self, image: bytearray) -> int:
        if self.algorithm is _Algorithm.CRC32:
            covered = image[self.span.start : self.span.end]
            return crc32_adjustment(covered, self.store_at - self.span.start, self.init, self.target)
        return (u32le(image, self.store_at) + self.target - self.computed(image)) & _U32


@dataclass(frozen=True)
class _Block:
    """One programmed or empty Bosch block found in the image."""

    image: bytes
    span: Span

    @property
    def name(self) -> str:
        """Block type and place, as every report names it."""
        return f"block {self.image[self.span.start]:02X}@{self.span.start:#x}"

    @property
    def count(self) -> int:
        """Number of checksum records the header claims."""
        return u32le(self.image, self.span.start + 0x2C)

    @property
    def adjust_at(self) -> int:
        """Offset of the dword in front of the end mark."""
        return self.span.end - 8

    @property
    def empty(self) -> bool:
        """Reserved partitions keep fill where the factory stores checksum and adjust."""
        checksum_at = self.span.start + _RECORDS_AT + min(self.count, _MOST_RECORDS) * _RECORD_BYTES
        return (
            u32le(self.image, self.span.start + 0x30) in _BLANK and u32le(self.image, checksum_at) in _BLANK
        )

    @property
    def signed(self) -> bool:
        """Tell whether anything but fill stands where the signature belongs."""
        signature = self.image[self.adjust_at - _SIGNATURE_BYTES : self.adjust_at]
        return len(set(signature)) > 1

    def signature(self) -> ChecksumBlock:
        """The OEM signature, which nobody here can check, over all of the block."""
        return ChecksumBlock.unknown(f"{self.name} signature", self.span.start, self.span.end)

    def records(self) -> Iterator[_Record | ChecksumBlock]:
        """Yield the records; one that cannot be read is unknown if a sound record covers the header.

        Where none does, the header itself may be damaged, and that is a failure.
        """
        if not 1 <= self.count <= _MOST_RECORDS:
            yield ChecksumBlock.broken(f"{self.name}: {self.count} records", self.span.start, self.span.end)
            return
        read = [self._record(self.span.start + _RECORDS_AT + n * _RECORD_BYTES) for n in range(self.count)]
        yield from (record for record in read if record)
        vouched = None in read and any(record and self._vouches(record) for record in read)
        for index, record in enumerate(read):
            if record is None:
                made = ChecksumBlock.unknown if vouched else ChecksumBlock.broken
                yield made(f"{self.name} record {index}", self.span.start, self.span.end)
        body = Span(self.span.start, self.span.end - 4)
        for left in without(body, [record.span for record in read if record]):
            yield ChecksumBlock.unknown(f"{self.name}: no record covers", left.start, left.end)

    def _vouches(self, record: _Record) -> bool:
        """Tell whether the record holds and covers the header with all its records."""
        header_end = self.span.start + _RECORDS_AT + self.count * _RECORD_BYTES
        covers = record.span.start <= self.span.start and header_end <= record.span.end
        return covers and record.computed(self.image) == record.target

    def _record(self, at: int) -> _Record | None:
        span = Span(self._offset(u32le(self.image, at + 4)), self._offset(u32le(self.image, at + 8)) + 1)
        code = self.image[at + 0x1C] if at + _RECORD_BYTES <= self.span.end else -1
        inside = self.span.start <= span.start and span.end <= self.span.end
        if code not in set(_Algorithm) or not inside or span.size < 4 or span.size % 4:
            return None
        algorithm = _Algorithm(code)
        init, expected = u32le(self.image, at + 0x0C), u32le(self.image, at + 0x10)
        store_at = self.adjust_at if algorithm is _Algorithm.CRC32 else span.end - 4
        return _Record(f"{self.name} {algorithm.name}", algorithm, span, init, expected, store_at)

    def _offset(self, address: int) -> int:
        """Return the image offset of a flash address, seen from this block."""
        start = u32le(self.image, self.span.start + 0x0C) + 4 - self.span.size
        return (address & _SEGMENT) - (start & _SEGMENT) + self.span.start


@dataclass(frozen=True)
class Med17(LayoutModule):
    """Finds every Bosch block in an image by its header and checks all its records."""

    signed: bool = True

    @classmethod
    def from_params(cls, params: Params) -> Med17:
        """Read `signed`: false only for an ECU that is known not to check the signatures of its blocks."""
        return cls(params.flag("signed", True))

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return _FAMILY

    def layout(self, image: bytes) -> Layout:
        """Find the blocks; a record that no sound header claims is a damaged block."""
        blocks = list(_blocks(image))
        programmed = [block for block in blocks if not block.empty]
        found = [record for block in programmed for record in block.records()]
        checks = [record for record in found if not isinstance(record, ChecksumBlock)]
        others = [record for record in found if isinstance(record, ChecksumBlock)]
        others += _orphans(image, blocks)
        others += _unclaimed(image, programmed)
        if self.signed:
            others += [block.signature() for block in programmed if block.signed]
        signed = self.signed and any(block.signed for block in programmed)
        return Layout(_sums_first(checks), tuple(others), signed, _detail(blocks, programmed, signed))


def _blocks(image: bytes) -> Iterator[_Block]:
    at = 0
    for match in _HEADER.finditer(image):
        start = match.start()
        size = u32le(image, start + 4)
        sound = start >= at and start % 4 == 0 and size >= 0x100 and size % 4 == 0
        if sound and start + size <= len(image) and u32le(image, start + size - 4) == _END_MARK:
            yield _Block(image, Span(start, start + size))
            at = start + size


def _orphans(image: bytes, blocks: list[_Block]) -> list[ChecksumBlock]:
    """Return one failing block if a first record stands where no sound header claims it."""
    at = 0
    for end_of_gap, resume in [(block.span.start, block.span.end) for block in blocks] + [(len(image), 0)]:
        stray = image.find(_MAGIC_PAIR, at, end_of_gap)
        if stray >= 0:
            head = max(0, stray - 0x40)
            return [ChecksumBlock.broken(f"block@{head:#x}: header or end mark damaged", head, stray + 8)]
        at = resume
    return []


def _unclaimed(image: bytes, programmed: list[_Block]) -> list[ChecksumBlock]:
    """Content outside of every programmed block: what checks it nobody knows. Fill is no content."""
    if not programmed:
        return []
    gaps = without(Span(0, len(image)), [block.span for block in programmed])
    content = [gap for gap in gaps if image.count(image[gap.start], gap.start, gap.end) < gap.size]
    return [ChecksumBlock.unknown(f"no block@{gap.start:#x}", gap.start, gap.end) for gap in content]


def _sums_first(records: list[_Record]) -> tuple[_Record, ...]:
    """Order for correction: the CRC of a block covers the dwords that its sums settle."""
    return tuple(sorted(records, key=lambda record: record.algorithm is _Algorithm.CRC32))


def _detail(blocks: list[_Block], programmed: list[_Block], signed: bool) -> str:
    if not blocks:
        return "no MED17/EDC17 block found"
    notes = [f"{len(programmed)} blocks"]
    if len(blocks) > len(programmed):
        notes.append(f"{len(blocks) - len(programmed)} empty")
    if signed:
        notes.append("signed: an ECU that checks the signature refuses modified data over OBD")
    return ", ".join(notes)
