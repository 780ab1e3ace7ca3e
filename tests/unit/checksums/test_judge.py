"""One judge: it passes nothing that the corrector refuses, and sees every bit under a checksum."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.checksums import (
    ChecksumRefused,
    ChecksumUnsupported,
    Verdict,
    correct_like_stock,
    judge,
    module_for,
)
from appliance.checksums.report import ChecksumBlock, ChecksumReport

from . import images
from .images import BUILDERS, Sample

_EXAMPLES = settings(max_examples=10, deadline=None)
_EACH = pytest.mark.parametrize("label", sorted(BUILDERS))
_ANY_PARAMS = st.booleans()


def _patched(image: bytes, at: int, new: bytes) -> bytes:
    return image[:at] + new + image[at + len(new) :]


def _flipped(image: bytes, at: int, bit: int) -> bytes:
    return _patched(image, at, bytes([image[at] ^ 1 << bit]))


def _edited(sample: Sample, draw: st.DataObject) -> bytes:
    start, end = draw.draw(st.sampled_from(sample.editable))
    at = draw.draw(st.integers(start, end - 1))
    return _patched(sample.image, at, bytes([sample.image[at] ^ draw.draw(st.integers(1, 255))]))


@_EACH
@_EXAMPLES
@given(draw=st.data())
def test_every_flipped_bit_of_a_corrected_image_is_seen(label: str, draw: st.DataObject) -> None:
    sample = BUILDERS[label]()
    module = module_for(sample.module, sample.correctable)
    corrected, _ = correct_like_stock(module, sample.image, _edited(sample, draw))
    assert judge(module, sample.image, corrected).verdict is Verdict.OK
    start, end = draw.draw(st.sampled_from((*sample.covered, *sample.stores)))
    damaged = _flipped(corrected, draw.draw(st.integers(start, end - 1)), draw.draw(st.integers(0, 7)))
    assert judge(module, sample.image, damaged).verdict is not Verdict.OK


@_EACH
@_EXAMPLES
@given(draw=st.data(), unlocked=_ANY_PARAMS)
def test_what_the_corrector_refuses_the_judge_does_not_pass(
    label: str, draw: st.DataObject, unlocked: bool
) -> None:
    """Edits anywhere, hostile words included; both stocks, a good one and one that is damaged itself."""
    sample = BUILDERS[label]()
    module = module_for(sample.module, sample.correctable if unlocked else sample.params)
    image = bytearray(sample.image)
    for _ in range(draw.draw(st.integers(0, 4))):
        at = draw.draw(st.integers(0, len(image) - 4) | st.integers(0, min(0x400, len(image) - 4)))
        image[at : at + 4] = draw.draw(
            st.sampled_from([bytes(4), b"\xff" * 4]) | st.binary(min_size=4, max_size=4)
        )
    modified = bytes(image)
    stock = sample.image if draw.draw(st.booleans()) else _flipped(sample.image, sample.covered[0][0], 3)
    try:
        corrected, report = correct_like_stock(module, stock, modified)
    except (ChecksumRefused, ChecksumUnsupported):
        assert judge(module, stock, modified).verdict is not Verdict.OK
    else:
        assert report.verdict is judge(module, stock, corrected).verdict is Verdict.OK


def test_each_judgement_says_why_by_a_stable_code() -> None:
    sample = images.declared("crc32-at", "big")
    module, stock = module_for(sample.module, sample.params), sample.image
    right = judge(module, stock, stock)
    assert (right.code, right.why) == ("CHECKSUM_OK", "crc32-at: 1 of 1 blocks checked and right")
    short = judge(module, stock[:16], stock[:16])
    assert "the image is shorter than the declared ranges" in short.why
    assert "crc32-at" in judge(module, _flipped(stock, 5, 1), stock).why
    monitored = module_for("siemens-ms43", {})
    assert "3 of 5 blocks" in judge(monitored, images.ms43().image, images.ms43().image).why
    assert judge(module, stock, stock + b"\0").code == "CHECKSUM_LENGTH_DIFFERS"
    wrong = judge(module, stock, _flipped(stock, 5, 1))
    assert (wrong.verdict, wrong.code, wrong.blocks) == (Verdict.FAIL, "CHECKSUM_WRONG", ("crc32-at",))
    unproven = judge(module, _flipped(stock, 5, 1), stock)
    assert (unproven.verdict, unproven.code) == (Verdict.UNKNOWN, "CHECKSUM_STOCK_UNVERIFIED")


# --- what nobody can check


class _Blocks:
    """A module that says what it is told."""

    family = "told"

    def __init__(self, *blocks: ChecksumBlock) -> None:
        self._blocks = blocks

    def verify(self, image: bytes) -> ChecksumReport:
        return ChecksumReport(self.family, Verdict.OK, self._blocks)

    def correct(self, image: bytes) -> bytes:
        return image


@pytest.mark.parametrize(
    ("at", "verdict"), [(9, Verdict.OK), (10, Verdict.UNKNOWN), (19, Verdict.UNKNOWN), (20, Verdict.OK)]
)
def test_an_unknown_block_is_touched_inside_its_bounds_only(at: int, verdict: Verdict) -> None:
    module, stock = _Blocks(ChecksumBlock.unknown("hidden", 10, 20)), bytes(32)
    assert judge(module, stock, _flipped(stock, at, 0)).verdict is verdict


@pytest.mark.parametrize(("at", "verdict"), [(0, Verdict.UNKNOWN), (1, Verdict.OK)])
def test_an_unknown_block_may_be_a_single_byte_at_the_start(at: int, verdict: Verdict) -> None:
    module, stock = _Blocks(ChecksumBlock.unknown("first", 0, 1)), bytes(32)
    assert judge(module, stock, _flipped(stock, at, 0)).verdict is verdict


@pytest.mark.parametrize(("start", "end"), [(0, 0), (7, 7), (9, 3), (-4, 8)])
def test_an_unknown_block_without_an_extent_is_touched_by_everything(start: int, end: int) -> None:
    module, stock = _Blocks(ChecksumBlock.unknown("anywhere", start, end)), bytes(32)
    touched = judge(module, stock, _flipped(stock, 31, 0))
    assert (touched.verdict, touched.code, touched.blocks) == (
        Verdict.UNKNOWN,
        "CHECKSUM_UNKNOWN_TOUCHED",
        ("anywhere",),
    )
    assert judge(module, stock, stock).verdict is Verdict.OK


@_EACH
def test_every_unknown_block_of_every_family_has_an_extent(label: str) -> None:
    sample = BUILDERS[label]()
    blocks = module_for(sample.module, sample.params).verify(sample.image).blocks
    assert all(b.start < b.end for b in blocks if b.verdict is Verdict.UNKNOWN)


@pytest.mark.parametrize("label", [label for label in sorted(BUILDERS) if BUILDERS[label]().unlocked])
def test_an_edit_under_a_signature_or_monitor_is_never_called_right(label: str) -> None:
    """Also where every checksum is: only a definition that says the ECU does not look lets it pass."""
    sample = BUILDERS[label]()
    locked = module_for(sample.module, sample.params)
    unlocked = module_for(sample.module, sample.correctable)
    start, end = sample.editable[-1]
    at = (start + end) // 2
    corrected, _ = correct_like_stock(unlocked, sample.image, _flipped(sample.image, at, 2))
    assert locked.verify(corrected).verdict is Verdict.OK
    assert judge(locked, sample.image, corrected).code == "CHECKSUM_UNKNOWN_TOUCHED"


# --- ME7


def _me7_signed() -> bytes:
    image = bytearray(images.me7_image())
    for at, pattern in ((0x31000, "80008840"), (0x31010, "80008840"), (0x31020, "e0448840")):
        image[at : at + 14] = bytes.fromhex(pattern + "e6f40020e6f583008850")
    image[0x32000:0x32004] = b"\0\0\0\x03"
    return module_for("me7", {"signed": False}).correct(bytes(image))


def test_an_edited_signed_me7_is_never_called_right() -> None:
    stock = _me7_signed()
    corrected, _ = correct_like_stock(
        module_for("me7", {"signed": False}), stock, _patched(stock, 0x10200, b"tuned")
    )
    assert judge(module_for("me7", {}), stock, corrected).verdict is Verdict.UNKNOWN


def test_an_me7_with_its_multipoint_table_wiped_fails() -> None:
    stock = images.me7_image()
    table = images.ME7_TABLE_AT
    wiped = _patched(stock, table, b"\xff" * (34 * 16))
    module = module_for("me7", {})
    target = module.correct(wiped)
    assert module.verify(target).verdict is Verdict.OK, "alone it looks right"
    judgement = judge(module, stock, target)
    assert judgement.code == "CHECKSUM_LAYOUT_CHANGED"
    assert judgement.blocks[0] == "multipoint 0x41020"
    assert all(name.startswith("multipoint") for name in judgement.blocks)


def _me7_large(**layout: bool) -> bytes:
    """1 MiB with no range in its code: the CRCs of the small layout, their stores in the code or nowhere."""
    image = bytearray(images.me7_image(with_crc_code=False, size=0x100000))
    if layout.get("stores"):
        for index, (_, _, store) in enumerate(images.ME7_SMALL_CRCS):
            images.me7_code(image, 0x30020 + 0x40 * index, "f6f51234e6f4LLe6f5HHda00", store)
        for start, end, store in images.ME7_SMALL_CRCS:
            struct.pack_into("<I", image, store, images.crc32_ieee(bytes(image[start:end])))
    images.me7_sums(image, with_crc_code=False)
    return bytes(image)


def test_a_large_me7_whose_data_checks_are_not_found_is_unknown_there() -> None:
    stock, module = _me7_large(), module_for("me7", {})
    assert module.verify(stock).verdict is Verdict.OK
    target = module.correct(_flipped(stock, 0x15000, 0))
    assert judge(module, stock, target).code == "CHECKSUM_UNKNOWN_TOUCHED"
    with pytest.raises(ChecksumRefused, match=r"CHECKSUM_UNKNOWN_TOUCHED.*main data: ranges not found"):
        correct_like_stock(module, stock, _flipped(stock, 0x15000, 0))
    corrected, _ = correct_like_stock(module, stock, _flipped(stock, 0x50000, 0))
    assert judge(module, stock, corrected).verdict is Verdict.OK


def test_a_large_me7_with_the_checks_of_a_small_one_is_checked() -> None:
    stock, module = _me7_large(stores=True), module_for("me7", {})
    names = {block.name: block.verdict for block in module.verify(stock).blocks if "data" in block.name}
    assert names == {f"main data CRC {index}": Verdict.OK for index in range(3)}
    corrected, _ = correct_like_stock(module, stock, _flipped(stock, 0x15000, 0))
    assert judge(module, stock, corrected).verdict is Verdict.OK
    assert judge(module, stock, _flipped(corrected, 0x15000, 0)).verdict is Verdict.FAIL


@pytest.mark.parametrize("ranges", [False, True])
def test_hidden_stores_of_a_large_me7_can_be_declared(ranges: bool) -> None:
    crcs = images.ME7_SMALL_CRCS
    params: dict[str, object] = {"crc_stores": [0x800000 + store for _, _, store in crcs]}
    if ranges:
        params["crc_ranges"] = [[0x800000 + start, 0x800000 + end] for start, end, _ in crcs]
    module = module_for("me7", params)
    stock = module.correct(_me7_large())
    for start, end, store in crcs:
        assert struct.unpack_from("<I", stock, store) == (images.crc32_ieee(stock[start:end]),)
    corrected, _ = correct_like_stock(module, stock, _flipped(stock, 0x15000, 0))
    assert judge(module, stock, corrected).verdict is Verdict.OK


def test_stores_that_do_not_fit_the_ranges_are_unknown_not_ignored() -> None:
    stock = _me7_large()
    module = module_for("me7", {"crc_stores": [0x81FD00, 0x81FD10]})
    target = module.correct(_flipped(stock, 0x15000, 0))
    assert judge(module, stock, target).code == "CHECKSUM_UNKNOWN_TOUCHED"


@pytest.mark.parametrize("fill", [b"\xff", b"\0"])
def test_a_small_me7_padded_to_the_large_size_is_recognised(fill: bytes) -> None:
    small, module = images.me7_image(), module_for("me7", {})
    stock = small + fill * 0x80000
    report = module.verify(stock)
    assert (report.verdict, "512 KiB, padded") == (Verdict.OK, report.detail)
    corrected, _ = correct_like_stock(module, stock, _flipped(stock, 0x15000, 0))
    assert corrected[:0x80000] == module.correct(_flipped(small, 0x15000, 0))
    assert corrected[0x80000:] == stock[0x80000:]
    assert judge(module, stock, _flipped(corrected, 0x90000, 0)).verdict is not Verdict.OK
    assert judge(module, stock, corrected[:0x80000] + b"\x55" * 0x80000).verdict is Verdict.UNKNOWN


def test_a_large_me7_with_a_blank_half_is_not_a_small_one() -> None:
    image = bytearray(images.me7_image(size=0x100000))
    image[0x80000:] = b"\xff" * 0x80000
    assert module_for("me7", {}).verify(bytes(image)).verdict is Verdict.FAIL


# --- others


def test_content_under_an_unstored_edc15_checksum_is_unknown() -> None:
    sample = images.edc15("v4.1")
    module = module_for(sample.module, {})
    stock = _patched(sample.image, 0x14010, b"content")
    assert judge(module, stock, stock).verdict is Verdict.OK
    assert judge(module, stock, _flipped(stock, 0x14020, 1)).code == "CHECKSUM_UNKNOWN_TOUCHED"
    assert judge(module, sample.image, stock).code == "CHECKSUM_LAYOUT_CHANGED"


def test_content_that_no_med17_block_claims_is_unknown() -> None:
    sample = images.med17()
    module = module_for("med17", sample.correctable)
    assert judge(module, sample.image, _flipped(sample.image, 0x7100, 1)).code == "CHECKSUM_UNKNOWN_TOUCHED"


def test_a_haldex_record_is_not_guessed() -> None:
    sample = images.haldex_found(0x200)
    module = module_for(sample.module, {})
    no_size = _patched(sample.image, 0x204, b"\0\0\0\0")
    assert module.verify(no_size).verdict is Verdict.UNKNOWN
    two = _patched(sample.image, 0x4, struct.pack("<I", len(sample.image)))
    assert module.verify(two).verdict is Verdict.UNKNOWN
