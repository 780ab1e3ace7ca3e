"""What the stock image decides: which reading holds, what may be touched, what stays unknown."""

import struct
from collections.abc import Callable

import pytest

from appliance.checksums import (
    ChecksumRefused,
    ChecksumUnsupported,
    Verdict,
    correct_like_stock,
    judge,
    module_for,
)

from . import images


def _patched(image: bytes, at: int, new: bytes) -> bytes:
    return image[:at] + new + image[at + len(new) :]


@pytest.mark.parametrize("build", [lambda: images.denso("inclusive"), lambda: images.hitachi("words")])
def test_a_reading_no_implementation_shares_is_never_guessed(build: Callable[[], images.Sample]) -> None:
    """Only a definition that names it gets it: guessed, it would call an image right that the ECU refuses."""
    sample = build()
    named = {"end", "balance"}
    guessing = module_for(sample.module, {k: v for k, v in sample.params.items() if k not in named})
    assert module_for(sample.module, sample.params).verify(sample.image).verdict is Verdict.OK
    assert guessing.verify(sample.image).verdict is Verdict.FAIL
    assert judge(guessing, sample.image, sample.image).verdict is Verdict.UNKNOWN
    with pytest.raises(ChecksumRefused, match="CHECKSUM_STOCK_UNVERIFIED"):
        correct_like_stock(guessing, sample.image, sample.image)


def test_stock_decides_whether_hitachi_keeps_the_sum_of_its_bytes() -> None:
    keeps, does_not = images.hitachi("low-halves", keeps_bytes=True), images.hitachi("low-halves")
    module = module_for(keeps.module, {})
    for sample, kept in ((keeps, True), (does_not, False)):
        edited = _patched(sample.image, 0x20000, b"edited")
        corrected, _ = correct_like_stock(module, sample.image, edited)
        assert (tuple(corrected[0x10000:0x10002]) == images.hitachi_bytes(corrected)) is kept
        wiped = _patched(corrected, 0x10000, bytes([corrected[0x10000] ^ 1]))
        assert judge(module, sample.image, wiped).verdict is (Verdict.FAIL if kept else Verdict.UNKNOWN)


def test_a_fixed_reading_is_not_argued_with() -> None:
    sample = images.denso("exclusive")
    fixed = module_for("subaru-denso", {**sample.params, "end": "inclusive"})
    assert judge(fixed, sample.image, sample.image).code == "CHECKSUM_STOCK_UNVERIFIED"
    with pytest.raises(ChecksumRefused, match="CHECKSUM_STOCK_UNVERIFIED"):
        correct_like_stock(fixed, sample.image, sample.image)


def test_hitachi_balance_can_be_declared() -> None:
    sample = images.hitachi("low-halves")
    declared = module_for(sample.module, {"balance": "low-halves"})
    assert declared.verify(sample.image).verdict is Verdict.OK
    assert module_for(sample.module, {"balance": "words"}).verify(sample.image).verdict is Verdict.FAIL


def test_switched_off_denso_checksums_are_unknown_not_passed() -> None:
    sample = images.denso("exclusive")
    off = _patched(sample.image, 0x1FB80, struct.pack(">III", 0, 0, 0x5AA5A55A))
    report = module_for("subaru-denso", sample.params).verify(off)
    assert report.verdict is Verdict.UNKNOWN
    assert "switched off" in report.detail


def test_denso_defaults_to_the_1_mb_table() -> None:
    sample = images.denso_1mb()
    assert module_for("subaru-denso", {}).verify(sample.image).verdict is Verdict.OK


def test_a_changed_checksum_table_is_refused() -> None:
    sample = images.med17()
    image = bytearray(sample.image)
    image[0x4000:0x7000] = b"\xff" * 0x3000
    module = module_for("med17", sample.correctable)
    assert module.verify(bytes(image)).verdict is Verdict.OK
    with pytest.raises(ChecksumRefused, match="CHECKSUM_LAYOUT_CHANGED"):
        correct_like_stock(module, sample.image, bytes(image))
    assert judge(module, sample.image, bytes(image)).code == "CHECKSUM_LAYOUT_CHANGED"


def test_report_lists_old_and_new_bytes_of_each_region() -> None:
    sample = images.declared("crc32-at", "big")
    modified = _patched(sample.image, 0x10, b"tuned")
    corrected, report = correct_like_stock(module_for("crc32-at", sample.params), sample.image, modified)
    old, new = sample.image[0x1F10:0x1F14].hex(), corrected[0x1F10:0x1F14].hex()
    assert report.detail == f"corrected 0x1f10: {old} -> {new}"


def test_me7_data_under_a_hidden_crc_must_not_change() -> None:
    stock = images.me7_image(with_crc_code=False)
    module = module_for("me7", {})
    report = module.verify(stock)
    unknown = [block.name for block in report.blocks if block.verdict is Verdict.UNKNOWN]
    assert report.verdict is Verdict.OK
    assert [name for name in unknown if name.startswith("main data CRC")] == [
        f"main data CRC {index}" for index in range(3)
    ]
    with pytest.raises(ChecksumRefused, match=r"CHECKSUM_UNKNOWN_TOUCHED.*main data CRC 1"):
        correct_like_stock(module, stock, _patched(stock, 0x15000, b"tuned"))
    corrected, _ = correct_like_stock(module, stock, _patched(stock, 0x50000, b"tuned"))
    assert module.verify(corrected).verdict is Verdict.OK


def test_me7_stores_can_be_declared_where_code_hides_them() -> None:
    stock = images.me7_image(with_crc_code=False)
    module = module_for("me7", {"crc_stores": [0x81FD00, 0x81FD10, 0x81FD20]})
    assert module.verify(stock).verdict is Verdict.FAIL
    healed = module.correct(stock)
    assert module.verify(healed).verdict is Verdict.OK
    for start, end, store in ((0x10000, 0x14000, 0x1FD00), (0x14300, 0x17F68, 0x1FD10)):
        assert struct.unpack_from("<I", healed, store) == (images.crc32_ieee(healed[start:end]),)


def test_me7_of_one_megabyte() -> None:
    stock = images.me7_image(with_crc_code=False, size=0x100000)
    module = module_for("me7", {})
    assert module.verify(stock).verdict is Verdict.OK
    assert module.verify(_patched(stock, 0xC0000, b"tuned")).verdict is Verdict.FAIL


def test_me7_with_rsa_is_reported_as_signed() -> None:
    image = bytearray(images.me7_image())
    for at, pattern in ((0x31000, "80008840"), (0x31010, "80008840"), (0x31020, "e0448840")):
        image[at : at + 14] = bytes.fromhex(pattern + "e6f40020e6f583008850")
    image[0x32000:0x32004] = b"\0\0\0\x03"
    report = module_for("me7", {}).verify(bytes(image))
    assert report.signed
    assert "RSA" in report.detail


@pytest.mark.parametrize("variant", ["v4.1", "v4.1-rev2", "vm"])
def test_edc15_variant_can_be_declared(variant: str) -> None:
    image = images.edc15(variant).image
    declared = module_for("edc15-v4.1", {"variant": variant})
    assert declared.verify(image).verdict is Verdict.OK
    other = module_for("edc15-v4.1", {"variant": "v4.1" if variant != "v4.1" else "v4.1-rev2"})
    assert other.verify(image).verdict is not Verdict.OK


def test_an_unused_edc15_image_is_unknown() -> None:
    report = module_for("edc15-v4.1", {}).verify(b"\xc3" * 0x80000)
    assert report.verdict is Verdict.UNKNOWN


def test_ms43_runtime_sums_stay_unknown() -> None:
    report = module_for("siemens-ms43", {}).verify(images.ms43().image)
    unknown = [block.name for block in report.blocks if block.verdict is Verdict.UNKNOWN]
    assert unknown == ["program monitor at 0x6fdae", "calibration monitor at 0x72ffc"]


def test_simos_monitor_areas_can_come_from_the_program_block() -> None:
    sample = images.simos_cal()
    params = {**sample.params, "monitor_areas": [[0xA0800500, 0xA0807400]]}
    assert module_for("simos", params).verify(sample.image).verdict is Verdict.OK
    elsewhere = {**sample.params, "monitor_areas": [[0xA0800504, 0xA0807400]]}
    assert module_for("simos", elsewhere).verify(sample.image).verdict is Verdict.FAIL


def test_a_checksum_that_covers_itself_is_refused_not_looped_over() -> None:
    image = bytearray(images.dq381().image)
    image[0x38:0x40] = struct.pack(">II", 0x80100000, 0x80102FFF)
    with pytest.raises(ChecksumUnsupported, match="chase each other"):
        module_for("vw-dq381", {"base": 0x80100000}).correct(bytes(image))


def test_med17_whose_crc_misses_the_adjust_dword_cannot_be_corrected() -> None:
    image = bytearray(images.med17().image)
    struct.pack_into("<I", image, 0x34 + 8, 0x80020000 + 0x2FFF)
    with pytest.raises(ChecksumUnsupported, match="adjust dword lies outside"):
        module_for("med17", {}).correct(bytes(image))


def test_med17_record_of_unknown_kind_is_unknown_only_under_a_sound_header() -> None:
    """The header's own CRC vouches for it; with no such CRC it may be damage."""
    image = bytearray(images.med17().image)
    image[0x4054 + 0x1C] = 0x02
    state = images.crc32_state(bytes(image[0x4000:0x6FF8]), 0xFADECAFE)
    image[0x6FF8:0x6FFC] = images.crc32_dword_reaching(state, 0x35015001)
    report = module_for("med17", {}).verify(bytes(image))
    assert report.verdict is Verdict.OK
    unknown = [block.name for block in report.blocks if block.verdict is Verdict.UNKNOWN]
    assert unknown == ["block 60@0x4000 record 1", "no block@0x7000", "block 60@0x4000 signature"]
