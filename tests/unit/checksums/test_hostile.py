"""Images made to hurt: reports come quickly whatever their headers claim."""

import struct
from collections.abc import Callable

import pytest

from appliance.checksums import FAMILIES, Verdict, judge, module_for

from . import images

_MIB = 1 << 20
_PAIR = struct.pack("<II", 0xFADECAFE, 0xCAFEAFFE)


def _med17_headers() -> bytes:
    """Every 128 bytes a block header that claims the rest of the image and a hundred records."""
    header = bytearray(128)
    struct.pack_into("<II", header, 0, 0x60, 0)
    struct.pack_into("<I", header, 0x0C, 0x80000000)
    struct.pack_into("<I", header, 0x2C, 100)
    header[0x40:0x48] = _PAIR
    struct.pack_into("<I", header, 124, 0xDEADBEEF)
    image = bytearray(bytes(header) * (2 * _MIB // 128))
    for at in range(0, len(image), 128):
        struct.pack_into("<I", image, at + 4, len(image) - at)
    return bytes(image)


def _me7_records() -> bytes:
    """Nothing but multipoint records, each over the whole image."""
    record = struct.pack("<4I", 0x800000, 0x8FFFFF, 0, 0xFFFFFFFF)
    return record * (_MIB // 16)


def _e38_segments() -> bytes:
    image = bytearray(2 * _MIB)
    for pointer in (0x24, 0x48, 0x6B, 0x8E, 0xB1, 0xD4):
        struct.pack_into(">II", image, 0x10000 + pointer, 0, 0x1FFFFF)
    return bytes(image)


def _simos_areas() -> bytes:
    image = bytearray(_MIB)
    image[0x308] = 255
    for index in range(255):
        struct.pack_into("<II", image, 0x30C + 8 * index, 0x80000000, 0x800FFFFF)
    return bytes(image)


def _denso_records() -> bytes:
    image = bytearray(_MIB)
    for index in range(64):
        struct.pack_into(">III", image, 0xFFB80 + 12 * index, 0, 0xFFFFC, 1)
    return bytes(image)


def _ms43_blocks() -> bytes:
    image = bytearray(_MIB // 2)
    struct.pack_into("<H", image, 0x3C26, 16)
    for index in range(16):
        struct.pack_into("<II", image, 0x3C28 + 8 * index, 0, 0x7FFFF)
    return bytes(image)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("name", "params", "build"),
    [
        ("med17", {}, _med17_headers),
        ("med17", {}, lambda: _PAIR * (4 * _MIB // 8)),
        ("med17", {}, lambda: b"\x60\0\0\0" * _MIB),
        ("me7", {}, _me7_records),
        ("me7", {}, lambda: b"\0\0\0\0\xff\xff\xff\xff" * (_MIB // 8)),
        ("me7", {}, lambda: bytes.fromhex("e6f80000e6f98100f2f4") * (_MIB // 20) + bytes(0x80000 % 10)),
        ("me7", {}, lambda: b"\xff" * _MIB),
        ("gm-e38", {}, _e38_segments),
        ("simos", {"base": 0x80000000, "monitor": True}, _simos_areas),
        ("subaru-denso", {"records": 1 << 40}, _denso_records),
        ("siemens-ms43", {}, _ms43_blocks),
    ],
)
def test_hostile_image_gets_a_quick_report(
    name: str, params: dict[str, object], build: Callable[[], bytes]
) -> None:
    image = build()
    report = module_for(name, params).verify(image)
    assert report.verdict is not Verdict.OK
    assert len(report.blocks) < 1000


def test_a_med17_header_that_claims_no_records_fails() -> None:
    image = bytearray(_med17_headers()[:128] * 4)
    struct.pack_into("<I", image, 4, len(image))
    struct.pack_into("<I", image, 0x2C, 0)
    report = module_for("med17", {}).verify(bytes(image))
    assert report.verdict is Verdict.FAIL
    assert report.blocks[0].name.endswith(": 0 records")


def _med17_swarm() -> bytes:
    """As many right blocks as fit: each is 256 bytes and says so."""
    return images.med17_smallest() * (_MIB // 0x100)


@pytest.mark.timeout(60)
def test_a_swarm_of_blocks_is_judged_in_linear_time_and_told_in_a_line() -> None:
    module, stock = module_for("med17", {"signed": False}), _med17_swarm()
    assert module.verify(stock).verdict is Verdict.OK
    half = stock[: len(stock) // 2]
    wiped = judge(module, stock, half + b"\xaf" * len(half))
    assert wiped.code == "CHECKSUM_LAYOUT_CHANGED"
    broken = judge(module, stock, bytes(byte ^ 1 for byte in stock[:8]) + stock[8:])
    assert broken.code == "CHECKSUM_LAYOUT_CHANGED"
    spoilt = bytearray(stock)
    spoilt[0x60::0x100] = bytes(value ^ 1 for value in spoilt[0x60::0x100])
    for judgement in (judge(module, stock, bytes(spoilt)), judge(module, bytes(spoilt), stock)):
        assert judgement.verdict is not Verdict.OK
        assert len(judgement.why) < 2000
        assert len(judgement.blocks) == 32


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", [0, 1, 0x80000, _MIB])
def test_any_two_images_give_a_judgement(name: str, size: int) -> None:
    sample = next(build() for build in images.BUILDERS.values() if build().module == name)
    module = module_for(name, sample.params)
    for stock in (bytes(size), b"\xff" * size, sample.image):
        for target in (bytes(size), b"\xff" * size, sample.image):
            assert (
                stock is target or judge(module, stock, target).verdict is not Verdict.OK or stock == target
            )
