"""Synthetic images of every checksum family, built from the facts with arithmetic of their own.

Nothing here imports the modules under test: CRCs run bit by bit or backwards, sums over struct words.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Sample:
    """A good image; every bit of `covered` matters, `editable` holds data, `stores` the checksums.

    `unlocked` are the parameters of an ECU that checks nothing over `editable` but what the box can check.
    """

    label: str
    module: str
    params: Mapping[str, object]
    image: bytes
    covered: Ranges
    editable: Ranges
    stores: Ranges
    signed: bool = False
    unlocked: Mapping[str, object] = field(default_factory=dict)

    @property
    def correctable(self) -> Mapping[str, object]:
        return {**self.params, **self.unlocked}


def _noise(size: int, seed: int) -> bytearray:
    return bytearray(random.Random(seed).randbytes(size))


def _put(image: bytearray, at: int, form: str, *values: int) -> None:
    struct.pack_into(form, image, at, *values)


def _get(image: bytearray, at: int, form: str) -> int:
    value: int = struct.unpack_from(form, image, at)[0]
    return value


def _sum(image: bytearray, start: int, end: int, form: str) -> int:
    return sum(value[0] for value in struct.iter_unpack(form, bytes(image[start:end])))


def _xor(image: bytearray, start: int, end: int) -> int:
    value = 0
    for word in struct.iter_unpack(">I", bytes(image[start:end])):
        value ^= word[0]
    return value


# --- CRCs of their own -------------------------------------------------------------------------


def bitwise_crc(data: bytes, width: int, poly: int, init: int, reflected: bool, xor_out: int) -> int:
    """The textbook CRC, one bit at a time."""
    top, mask, register = 1 << (width - 1), (1 << width) - 1, init
    for byte in data:
        for bit in range(8):
            incoming = (byte >> (bit if reflected else 7 - bit)) & 1
            if reflected:
                register = (register >> 1) ^ (poly if (register ^ incoming) & 1 else 0)
            else:
                register = ((register << 1) & mask) ^ (poly if bool(register & top) != bool(incoming) else 0)
    return register ^ xor_out


_FORWARD = [bitwise_crc(bytes([index]), 32, 0xEDB88320, 0, True, 0) for index in range(256)]
_BY_TOP_BYTE = {entry >> 24: index for index, entry in enumerate(_FORWARD)}
_ARC = [bitwise_crc(bytes([index]), 16, 0xA001, 0, True, 0) for index in range(256)]
_PLAIN = [bitwise_crc(bytes([index]), 32, 0x04C11DB7, 0, False, 0) for index in range(256)]


def crc32_state(data: bytes, state: int = 0xFFFFFFFF) -> int:
    for byte in data:
        state = _FORWARD[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state


def crc32_ieee(data: bytes) -> int:
    return crc32_state(data) ^ 0xFFFFFFFF


def crc32_dword_reaching(state: int, target: int) -> bytes:
    """Return four bytes that take the CRC-32 register from `state` to `target`, run backwards."""
    indices: list[int] = []
    for _ in range(4):
        index = _BY_TOP_BYTE[target >> 24]
        indices.insert(0, index)
        target = ((target ^ _FORWARD[index]) << 8) & 0xFFFFFFFF
    found = bytearray()
    for index in indices:
        found.append((state ^ index) & 0xFF)
        state = _FORWARD[index] ^ (state >> 8)
    return bytes(found)


def crc16_arc(data: bytes, state: int = 0) -> int:
    for byte in data:
        state = _ARC[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state


def crc32_plain(data: bytes) -> int:
    state = 0
    for byte in data:
        state = _PLAIN[(state >> 24) ^ byte] ^ (state << 8 & 0xFFFFFFFF)
    return state


# --- MED17/EDC17 -------------------------------------------------------------------------------

_CRC32, _ADD32, _ADD16 = 0x00, 0x01, 0x10


def _med17_header(
    image: bytearray, at: int, size: int, address: int, kind: int, records: list[tuple[int, int, int]]
) -> None:
    _put(image, at, "<II", kind, size)
    _put(image, at + 0x0C, "<I", address + size - 4)
    _put(image, at + 0x2C, "<II", len(records), 0x12345678)
    for index, (algorithm, start, end) in enumerate(records):
        init, expected = (0xFADECAFE, 0xCAFEAFFE)
        fields = (1, address + start, address + end - 1, init, expected, 0x60, address, algorithm)
        _put(image, at + 0x34 + 32 * index, "<8I", *fields)
    _put(image, at + size - 4, "<I", 0xDEADBEEF)


def _med17_sum(image: bytearray, start: int, end: int, algorithm: int) -> int:
    if algorithm == _ADD32:
        return (0xFADECAFE + _sum(image, start, end, "<I")) & 0xFFFFFFFF
    words = _sum(image, start, end - 2, "<H")
    return (0xFADECAFE + words + (_get(image, end - 2, "<H") << 16)) & 0xFFFFFFFF


def _med17_settle(image: bytearray, at: int, size: int, records: list[tuple[int, int, int]]) -> None:
    for algorithm, start, end in records:
        if algorithm != _CRC32:
            missing = 0xCAFEAFFE - _med17_sum(image, at + start, at + end, algorithm)
            last = at + end - 4
            _put(image, last, "<I", (_get(image, last, "<I") + missing) & 0xFFFFFFFF)
    adjust = at + size - 8
    state = crc32_state(bytes(image[at:adjust]), 0xFADECAFE)
    image[adjust : adjust + 4] = crc32_dword_reaching(state, 0x35015001)


@cache
def med17() -> Sample:
    """A customer block, a signed data set with all three algorithms, an empty slot."""
    image = bytearray(b"\xaf" * 0x9000)
    image[:0x7000] = _noise(0x7000, 17)
    customer = [(_CRC32, 0, 0x3FFC)]
    dataset = [(_CRC32, 0, 0x2FFC), (_ADD32, 0x400, 0x1000), (_ADD16, 0x1000, 0x1800)]
    image[0x3F78:0x3FF8] = b"\xff" * 0x80
    _med17_header(image, 0, 0x4000, 0x80020000, 0x30, customer)
    _med17_header(image, 0x4000, 0x3000, 0xA0040000, 0x60, dataset)
    _med17_settle(image, 0, 0x4000, customer)
    _med17_settle(image, 0x4000, 0x3000, dataset)
    _med17_header(image, 0x7000, 0x1000, 0x80050000, 0x50, [(_CRC32, 0, 0xFFC)])
    _put(image, 0x7030, "<I", 0xAFAFAFAF)
    stores = ((0x3FF8, 0x3FFC), (0x4FFC, 0x5000), (0x57FC, 0x5800), (0x6FF8, 0x6FFC))
    editable = ((0x200, 0x3000), (0x4400, 0x4F00), (0x5000, 0x5700), (0x5900, 0x6E00))
    unlocked = {"signed": False}
    return Sample("med17", "med17", {}, bytes(image), ((0, 0x7000),), editable, stores, True, unlocked)


def med17_smallest() -> bytes:
    """One right block of 256 bytes, the same at every place of an image."""
    image = _noise(0x100, 71)
    image[0x78:0xF8] = b"\xff" * 0x80
    records = [(_CRC32, 0, 0xFC)]
    _med17_header(image, 0, 0x100, 0x80020000, 0x60, records)
    _med17_settle(image, 0, 0x100, records)
    return bytes(image)


# --- ME7 ---------------------------------------------------------------------------------------

_ME7_BASE = 0x800000


def me7_code(image: bytearray, at: int, pattern: str, address: int) -> None:
    """Write C16x code with an address in its two moves (LL, HH in the pattern)."""
    address += _ME7_BASE
    low, high = (address & 0xFFFF).to_bytes(2, "little").hex(), (address >> 16).to_bytes(2, "little").hex()
    code = bytes.fromhex(pattern.replace("LL", low).replace("HH", high))
    image[at : at + len(code)] = code


_ME7_CRCS = ((0x10000, 0x14000, 0x1FD00), (0x14300, 0x17F68, 0x1FD10), (0x18190, 0x1FC00, 0x1FD20))
ME7_SMALL_CRCS = ((0x10000, 0x14000, 0x1FD00), (0x14300, 0x17F68, 0x1FD10), (0x18191, 0x1FC00, 0x1FD20))
"""What small images, and some large ones, keep where their code does not name the ranges."""
ME7_TABLE_AT = 0x41000
ME7_SUM_AT = 0x1FD40


def _me7_pair(image: bytearray, at: int, value: int) -> None:
    _put(image, at, "<II", value & 0xFFFFFFFF, ~value & 0xFFFFFFFF)


def me7_sums(image: bytearray, with_crc_code: bool, seed: bytes = b"") -> None:
    """Settle every sum in order; with a `seed` each data CRC goes on from the one before."""

    def words(*offsets: int) -> int:
        return sum(_get(image, at, "<H") for at in offsets)

    _put(image, 0x1FC10, "<I", words(0x10000, 0x1FFFE))
    if with_crc_code:
        running = seed
        for start, end, store in _ME7_CRCS:
            running = (running if seed else b"") + bytes(image[start:end])
            _put(image, store, "<I", crc32_ieee(running))
        _me7_pair(image, ME7_SUM_AT, sum(sum(image[start:end]) for start, end, _ in _ME7_CRCS))
    _put(image, 0x8038, "<I", words(0x8000, 0xFFFE))
    pages = [at for at in range(0, len(image), 0x2000) if not 0x10000 <= at < 0x20000]
    _put(image, 0x803C, "<I", sum(words(at, at + 0x1FFE) for at in pages))
    main = _sum(image, 0, 0xFC00, "<H") + _sum(image, 0x20000, len(image), "<H")
    _me7_pair(image, len(image) - 0x20, main)
    for index in range(len(image) // 0x4000):
        block = _sum(image, index * 0x4000, index * 0x4000 + 0x4000, "<H")
        _me7_pair(image, ME7_TABLE_AT + 32 + 16 * index + 8, block)


def me7_image(with_crc_code: bool = True, size: int = 0x80000) -> bytes:
    image = _noise(size, 7)
    image[0x3FFF::0x4000] = bytes(size // 0x4000)
    _put(image, 0x8010, "<I", _ME7_BASE + 0x1FC10)
    _put(image, 0x8030, "<II", _ME7_BASE + 0x10000, _ME7_BASE + 0x1FFFE)
    for index, (start, end, store) in enumerate(_ME7_CRCS if with_crc_code else ()):
        at = 0x30000 + 0x40 * index
        me7_code(image, at, "e6f8LLe6f9HHf2f4", start)
        me7_code(image, at + 0x10, "109be6f4LLe6f5HH", end - 1)
        me7_code(image, at + 0x20, "f6f51234e6f4LLe6f5HHda00", store)
    if with_crc_code:
        me7_code(image, 0x30200, "e10ce6f4LLe6f5HHda00", ME7_SUM_AT)
        _me7_pair(image, ME7_SUM_AT, 0)
    ends = (_ME7_BASE + 0xFBFF, _ME7_BASE + 0x20000, _ME7_BASE + size - 1)
    _put(image, ME7_TABLE_AT - 16, "<4I", _ME7_BASE, *ends)
    _put(image, ME7_TABLE_AT, "<4I", 0, 0x3FFF, 0x0FA00000, 0xF05FFFFF)
    _put(image, ME7_TABLE_AT + 16, "<4I", 0x4000, 0x7FFF, 0x0F400000, 0xF0BFFFFF)
    for index in range(size // 0x4000):
        at = ME7_TABLE_AT + 32 + 16 * index
        start = _ME7_BASE + 0x4000 * index
        _put(image, at, "<4I", start, start + 0x3FFF, 0, 0xFFFFFFFF)
    _put(image, ME7_TABLE_AT + 32 + size // 0x400, "<I", 0xFFFFFFFF)
    _me7_pair(image, size - 0x20, 0)
    me7_sums(image, with_crc_code)
    return bytes(image)


@cache
def me7() -> Sample:
    """All of ME7: ROMSYS, three data CRCs and the byte sum found in code, main sum, multipoint."""
    records = tuple((at + 8, at + 16) for at in range(ME7_TABLE_AT + 32, ME7_TABLE_AT + 32 + 0x200, 16))
    crcs = tuple((store, store + 4) for _, _, store in _ME7_CRCS)
    single = ((0x8038, 0x8040), (0x1FC10, 0x1FC14), (ME7_SUM_AT, ME7_SUM_AT + 8), (0x7FFE0, 0x7FFE8))
    editable = ((0x10100, 0x13F00), (0x14400, 0x17F00), (0x18200, 0x1FB00), (0x50000, 0x5FF00))
    image = me7_image()
    return Sample("me7", "me7", {}, image, ((0, len(image)),), editable, (*records, *crcs, *single))


@cache
def me7_chained() -> Sample:
    """ME7 with a pre-block: each data CRC goes on from the one before."""
    image = bytearray(me7_image())
    me7_code(image, 0x30300, "e6fcLLe6fdHHe04eda123456f6f4", 0x1FD80)
    me7_sums(image, with_crc_code=True, seed=bytes(image[0x1FD80:0x1FD84]))
    plain = me7()
    return Sample("me7-chained", "me7", {}, bytes(image), plain.covered, plain.editable, plain.stores)


# --- Simos -------------------------------------------------------------------------------------


@cache
def simos_cal() -> Sample:
    """A calibration block: two CRC areas around the header, the monitor sum inside one of them."""
    image, base = _noise(0x8000, 18), 0xA0800000
    _put(image, 0x300, "<II", 0, 0)
    image[0x308:0x30C] = b"\x02\0\0\0"
    _put(image, 0x30C, "<4I", base, base + 0x2FF, base + 0x400, base + 0x7FFF)
    _put(image, 0x410, "<3I", 1, 0, 0)
    _put(image, 0x418, "<2I", 0x80800500, 0x808073FF)
    total = (_get(image, 0x408, "<I") << 32) + _get(image, 0x40C, "<I") + _sum(image, 0x500, 0x7400, "<I")
    _put(image, 0x400, "<II", total >> 32 & 0xFFFFFFFF, total & 0xFFFFFFFF)
    _put(image, 0x304, "<I", crc32_plain(bytes(image[:0x300] + image[0x400:])))
    params = {"base": base, "monitor": True}
    covered = ((0, 0x300), (0x304, 0x309), (0x400, 0x8000))
    stores = ((0x304, 0x308), (0x400, 0x408))
    editable, unlocked = ((0x500, 0x7400),), {"signed": False}
    return Sample("simos-cal", "simos", params, bytes(image), covered, editable, stores, True, unlocked)


@cache
def simos_asw() -> Sample:
    """A program block with its header at the start, on an ECU without signature."""
    image, base = _noise(0x4000, 19), 0x80140000
    image[8:12] = b"\x01\0\0\0"
    _put(image, 12, "<2I", base + 0x20, base + 0x3FFF)
    _put(image, 4, "<I", crc32_plain(bytes(image[0x20:])))
    params = {"base": base, "header_at": 0, "signed": False}
    data = ((0x20, 0x4000),)
    return Sample("simos-asw2", "simos", params, bytes(image), (*data, (4, 9)), data, ((4, 8),))


# --- VW DSG ------------------------------------------------------------------------------------


@cache
def dq250() -> Sample:
    image = _noise(0x3000, 250)
    _put(image, 0x2FFC, "<I", crc32_state(bytes(image[:0x2FFC])))
    data = ((0, 0x2FFC),)
    return Sample("dq250", "vw-dq250", {}, bytes(image), ((0, 0x3000),), data, ((0x2FFC, 0x3000),))


@cache
def dq381() -> Sample:
    image, base = _noise(0x3000, 381), 0x80100000
    _put(image, 0x38, ">II", base + 0x80, base + 0x2EFF)
    _put(image, 0x44, ">I", crc32_ieee(bytes(image[0x80:0x2F00])))
    data = ((0x80, 0x2F00),)
    covered = (*data, (0x44, 0x48))
    return Sample("dq381", "vw-dq381", {"base": base}, bytes(image), covered, data, ((0x44, 0x48),))


def _haldex(label: str, record_at: int, params: dict[str, object]) -> Sample:
    image = _noise(0x3000, 5)
    _put(image, record_at, "<II", 0x8000, len(image))
    around = _sum(image, 0, record_at, "<H") + _sum(image, record_at + 10, 0x3000, "<H")
    _put(image, record_at + 8, "<H", 0xFFFF - (around & 0xFFFF))
    store = (record_at + 8, record_at + 10)
    data = tuple(pair for pair in ((0, record_at), (record_at + 10, 0x3000)) if pair[0] < pair[1])
    return Sample(label, "vw-haldex5", params, bytes(image), (*data, store), data, (store,))


@cache
def haldex() -> Sample:
    return _haldex("haldex", 0x1000, {"record_at": 0x1000})


@cache
def haldex_found(record_at: int) -> Sample:
    """The place of the record is not told: its size field tells it."""
    return _haldex(f"haldex-{record_at:x}", record_at, {})


# --- EDC15 -------------------------------------------------------------------------------------

_EDC15 = {
    "v4.1": "10000 14000 4C000 50000 50B80 5C000 60000 60B80 6C000 70000 70B80 7C000",
    "v4.1-rev2": "10000 14000 58000 58B80 64000 70000 70B80 7C000",
    "vm": "0B80 8000 14000 38B80 40000",
}


def _rotated_left(value: int, count: int) -> int:
    bits = f"{value:016b}"
    return int(bits[count % 16 :] + bits[: count % 16], 2)


def edc15_value(segment: bytes, a: int, b: int) -> int:
    """The V4.1 value of a segment without its last dword, a state machine over single words."""
    phase = 0
    for (word,) in struct.iter_unpack("<H", segment):
        if phase == 0:
            a = _rotated_left(a ^ word, b & 15)
            carry = (a & 1) if b & 15 else 0
        elif phase == 1:
            b = ((b - word - carry) % 0x10000) ^ a
        elif phase == 2:
            a = (a - word + 0xDAAC) % 0x10000
        else:
            b = _rotated_left(b ^ word, 16 - (a & 15))
        phase = (phase + 1) % 4
    a = (a + 0xDAAC - 0x8631) % 0x10000
    return (b ^ 0xDF9B) << 16 | a


@cache
def edc15(variant: str) -> Sample:
    """One image per layout, the second segment left unused."""
    bounds = [int(text, 16) for text in _EDC15[variant].split()]
    image = _noise(0x40000 if variant == "vm" else 0x80000, 15)
    if variant == "v4.1-rev2":
        image[0x58008:0x5800C] = b"V4.1"
    segments = list(pairwise(bounds))
    image[segments[1][0] : segments[1][1]] = b"\xc3" * (segments[1][1] - segments[1][0])
    used = (segments[0], *segments[2:])
    for start, end in used:
        seeds = (0, 0) if start == bounds[0] else (0x8631, 0xEFCD)
        _put(image, end - 4, "<I", edc15_value(bytes(image[start : end - 4]), *seeds))
    editable = tuple((start + 0x10, end - 4) for start, end in used)
    stores = tuple((end - 4, end) for _, end in used)
    return Sample(f"edc15-{variant}", "edc15-v4.1", {}, bytes(image), tuple(used), editable, stores)


# --- Subaru ------------------------------------------------------------------------------------


def _denso(
    label: str, size: int, table_at: int, ends: Callable[[int], int], extra: dict[str, object]
) -> Sample:
    """`ends` turns the exclusive end of a range into what the table holds."""
    image = _noise(size, 58)
    ranges = [(0x2000, 0x8000), (0x8000, 0xC000), (0xC000, table_at - 0x80)]
    for index, (start, end) in enumerate(ranges):
        difference = 0x5AA5A55A - _sum(image, start, end, ">I")
        _put(image, table_at + 12 * index, ">III", start, ends(end), difference & 0xFFFFFFFF)
    _put(image, table_at + 36, ">III", 0, 0, 0x5AA5A55A)
    image[table_at + 48 : table_at + 12 * 17] = b"\xff" * (12 * 17 - 48)
    stores = tuple((table_at + 12 * index + 8, table_at + 12 * index + 12) for index in range(3))
    covered = (*ranges, *stores)
    return Sample(label, "subaru-denso", extra, bytes(image), covered, tuple(ranges), stores)


@cache
def denso(ends: str) -> Sample:
    forms = {"exclusive": lambda end: end, "inclusive": lambda end: end - 4, "last-byte": lambda end: end - 1}
    params: dict[str, object] = {"table_at": 0x1FB80} | ({"end": ends} if ends == "inclusive" else {})
    return _denso(f"denso-{ends}", 0x20000, 0x1FB80, forms[ends], params)


@cache
def denso_1mb() -> Sample:
    return _denso("denso-1mb", 0x100000, 0xFFB80, lambda end: end - 1, {})


@cache
def hitachi(balance: str, keeps_bytes: bool = False) -> Sample:
    image = _noise(0x80000, 32)
    _put(image, 0x7FFE8, ">II", _sum(image, 0x6000, 0x8000, ">I") & 0xFFFFFFFF, _xor(image, 0x6000, 0x8000))
    total = _sum(image, 0, 0x10000, ">I") + _sum(image, 0x10004, 0x7FFF0, ">I")
    xored = _xor(image, 0, 0x10000) ^ _xor(image, 0x10004, 0x7FFF0)
    _put(image, 0x7FFF0, ">II", total & 0xFFFFFFFF, xored)
    _put(image, 0x7FFFA, ">H", 0)
    form = ">H" if balance == "words" else ">I"
    summed = _sum(image, 0x4000, 0x10000, form) + _sum(image, 0x10004, 0x80000, form)
    _put(image, 0x7FFFA, ">H", (0x5AA5 - summed) & 0xFFFF)
    if keeps_bytes:
        _put(image, 0x10000, ">BB", *hitachi_bytes(bytes(image)))
    covered = ((0, 0x10000), (0x10004, 0x7FFF8), (0x7FFFA, 0x7FFFC), (0x7FFFE, 0x80000))
    editable = ((0x100, 0xF000), (0x10010, 0x7FE00))
    stores = ((0x7FFE8, 0x7FFF8), (0x7FFFA, 0x7FFFC), *(((0x10000, 0x10002),) if keeps_bytes else ()))
    label = f"hitachi-{balance}{'-bytes' if keeps_bytes else ''}"
    params: dict[str, object] = {"balance": balance} if balance == "words" else {}
    return Sample(label, "subaru-hitachi-m32r", params, bytes(image), covered, editable, stores)


def hitachi_bytes(image: bytes) -> tuple[int, int]:
    """Sum and XOR of every byte but four."""
    rest = image[:0x10000] + image[0x10004:]
    folded = 0
    for byte in rest:
        folded ^= byte
    return sum(rest) % 256, folded


# --- Nissan, GM, Siemens -----------------------------------------------------------------------


@cache
def nissan_std() -> Sample:
    image = _noise(0x10000, 370)
    _put(image, 0x8000, ">II", 0, 0)
    total, xored = _sum(image, 0x1000, 0x10000, ">I"), _xor(image, 0x1000, 0x10000)
    _put(image, 0x8000, ">II", total & 0xFFFFFFFF, xored)
    params = {"start": 0x1000, "end": 0x10000, "sum_at": 0x8000, "xor_at": 0x8004}
    editable = ((0x1000, 0x8000), (0x8008, 0x10000))
    covered = ((0x1000, 0x10000),)
    return Sample("nissan-std", "nissan-std", params, bytes(image), covered, editable, ((0x8000, 0x8008),))


@cache
def nissan_alt2() -> Sample:
    """The 32-bit words leave out the two that hold the 16-bit sums; those cover the rest of them."""
    image = _noise(0x10000, 371)
    for at in (0x3000, 0x3004):
        _put(image, at, ">I", 0)
    total = _sum(image, 0x2004, 0x4000, ">I") + _sum(image, 0x4004, 0x10000, ">I")
    xored = _xor(image, 0x2004, 0x4000) ^ _xor(image, 0x4004, 0x10000)
    _put(image, 0x3000, ">II", total & 0xFFFFFFFF, xored)
    _put(image, 0x2000, ">H", _sum(image, 0x2002, 0x4000, ">H") & 0xFFFF)
    _put(image, 0x4000, ">H", _sum(image, 0x4002, 0x10000, ">H") & 0xFFFF)
    params = {"start": 0x2000, "end": 0x10000, "sum_at": 0x3000, "xor_at": 0x3004, "split_at": 0x4000}
    editable = ((0x2002, 0x3000), (0x3008, 0x4000), (0x4002, 0x10000))
    stores = ((0x2000, 0x2002), (0x3000, 0x3008), (0x4000, 0x4002))
    return Sample("nissan-alt2", "nissan-alt2", params, bytes(image), ((0x2000, 0x10000),), editable, stores)


@cache
def gm_e38() -> Sample:
    """Six segments; the first one holds the index of all."""
    image = _noise(0x20000, 38)
    starts = [0x10000 + 0x2000 * index for index in range(6)]
    for pointer, start in zip((0x24, 0x48, 0x6B, 0x8E, 0xB1, 0xD4), starts, strict=True):
        _put(image, 0x10000 + pointer, ">II", start, start + 0x1FFF)
    for start in starts:
        crc = crc16_arc(bytes(image[start + 2 : start + 0x1E] + image[start + 0x20 : start + 0x2000]))
        image[start + 0x1E : start + 0x20] = bytes([crc & 0xFF, crc >> 8])
        _put(image, start, ">H", -_sum(image, start + 2, start + 0x2000, ">H") & 0xFFFF)
    editable = tuple((start + 0x100, start + 0x2000) for start in starts)
    stores = tuple(pair for s in starts for pair in ((s, s + 2), (s + 0x1E, s + 0x20)))
    return Sample("gm-e38", "gm-e38", {}, bytes(image), ((0x10000, 0x1C000),), editable, stores)


@cache
def ms43() -> Sample:
    image = _noise(0x80000, 43)
    image[0x3FE6:0x3FE8], image[0x3C34:0x3C36], image[0x6FFBF:0x6FFC1] = b"--", b"00", b"96"
    sections = (
        (0x3C24, [(0x3C30, 0x6FFF)], 0, 0x2D2D),
        (0x6FDE0, [(0x10000, 0x1FFFF), (0x40000, 0x6FDDF)], 0x80000, 0x3030),
        (0x73FE0, [(0x70000, 0x73FDF)], 0, 0x3936),
    )
    covered: list[tuple[int, int]] = []
    for slot, blocks, base, init in sections:
        _put(image, slot + 2, "<H", len(blocks))
        for index, (start, last) in enumerate(blocks):
            _put(image, slot + 4 + 8 * index, "<II", start + base, last + base)
            covered.append((start, last + 1))
        crc = crc16_arc(b"".join(bytes(image[start : last + 1]) for start, last in blocks), init)
        _put(image, slot, "<H", crc)
        covered.append((slot, slot + 2))
    editable = ((0x4800, 0x6000), (0x10000, 0x20000), (0x40000, 0x6F000), (0x70000, 0x72000))
    stores = tuple((slot, slot + 2) for slot, *_ in sections)
    unlocked = {"monitors": "off"}
    return Sample(
        "ms43", "siemens-ms43", {}, bytes(image), tuple(covered), editable, stores, unlocked=unlocked
    )


# --- Declared ----------------------------------------------------------------------------------

_DECLARED = ((0x80000000, 0x80000800), (0x80001000, 0x80001F00))


@cache
def declared(module: str, order: str) -> Sample:
    image = _noise(0x2000, 99)
    body = bytes(image[0:0x800] + image[0x1000:0x1F00])
    width = 2 if module == "crc16-at" else 4
    if module == "sum32-at":
        value = _sum(bytearray(body), 0, len(body), "<I" if order == "little" else ">I")
    else:
        value = crc32_ieee(body) if width == 4 else bitwise_crc(body, 16, 0x1021, 0xFFFF, False, 0)
    image[0x1F10 : 0x1F10 + width] = (value % (1 << 8 * width)).to_bytes(width, "big")
    if order == "little":
        image[0x1F10 : 0x1F10 + width] = image[0x1F10 : 0x1F10 + width][::-1]
    data, store = ((0, 0x800), (0x1000, 0x1F00)), (0x1F10, 0x1F10 + width)
    params: dict[str, object] = {"base": 0x80000000, "store_at": 0x80001F10, "order": order}
    params["ranges"] = [list(pair) for pair in _DECLARED]
    return Sample(f"{module}-{order}", module, params, bytes(image), (*data, store), data, (store,))


BUILDERS: dict[str, Callable[[], Sample]] = {
    "med17": med17,
    "me7": me7,
    "me7-chained": me7_chained,
    "simos-cal": simos_cal,
    "simos-asw2": simos_asw,
    "dq250": dq250,
    "dq381": dq381,
    "haldex": haldex,
    "haldex-10": lambda: haldex_found(0x10),
    "haldex-200": lambda: haldex_found(0x200),
    "haldex-0": lambda: haldex_found(0),
    "edc15-v4.1": lambda: edc15("v4.1"),
    "edc15-v4.1-rev2": lambda: edc15("v4.1-rev2"),
    "edc15-vm": lambda: edc15("vm"),
    "denso-exclusive": lambda: denso("exclusive"),
    "denso-inclusive": lambda: denso("inclusive"),
    "denso-last-byte": lambda: denso("last-byte"),
    "hitachi-words": lambda: hitachi("words"),
    "hitachi-low-halves": lambda: hitachi("low-halves"),
    "hitachi-low-halves-bytes": lambda: hitachi("low-halves", keeps_bytes=True),
    "nissan-std": nissan_std,
    "nissan-alt2": nissan_alt2,
    "gm-e38": gm_e38,
    "ms43": ms43,
    "crc32-at-little": lambda: declared("crc32-at", "little"),
    "crc32-at-big": lambda: declared("crc32-at", "big"),
    "crc16-at-little": lambda: declared("crc16-at", "little"),
    "sum32-at-little": lambda: declared("sum32-at", "little"),
    "sum32-at-big": lambda: declared("sum32-at", "big"),
}
