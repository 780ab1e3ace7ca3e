"""Every family on synthetic images: good verifies, damage is caught, correction is exact."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.checksums import (
    FAMILIES,
    ChecksumRefused,
    ChecksumUnsupported,
    Verdict,
    correct_like_stock,
    module_for,
)
from appliance.checksums.report import ChecksumModule

from .images import BUILDERS, Ranges, Sample

_EXAMPLES = settings(max_examples=20, deadline=None)
_EACH = pytest.mark.parametrize("label", sorted(BUILDERS))


def _sample(label: str) -> tuple[Sample, ChecksumModule]:
    sample = BUILDERS[label]()
    return sample, module_for(sample.module, sample.params)


def _unlocked(label: str) -> tuple[Sample, ChecksumModule]:
    """The module for an ECU that does not check what the box cannot check."""
    sample = BUILDERS[label]()
    return sample, module_for(sample.module, sample.correctable)


def _place(ranges: Ranges, draw: st.DataObject) -> int:
    """Draw an offset: small ranges are hit as often as large ones."""
    start, end = draw.draw(st.sampled_from(ranges))
    return draw.draw(st.integers(start, end - 1))


def _flipped(image: bytes, at: int, bit: int) -> bytes:
    return image[:at] + bytes([image[at] ^ 1 << bit]) + image[at + 1 :]


def _differs_at(old: bytes, new: bytes) -> set[int]:
    chunks = (range(start, min(start + 4096, len(old))) for start in range(0, len(old), 4096))
    changed = (chunk for chunk in chunks if old[chunk.start : chunk.stop] != new[chunk.start : chunk.stop])
    return {at for chunk in changed for at in chunk if old[at] != new[at]}


def _edited(sample: Sample, draw: st.DataObject) -> bytes:
    image = bytearray(sample.image)
    for _ in range(draw.draw(st.integers(1, 4))):
        at = _place(sample.editable, draw)
        image[at] ^= draw.draw(st.integers(1, 255))
    return bytes(image)


def test_every_family_has_a_sample() -> None:
    assert {build().module for build in BUILDERS.values()} == set(FAMILIES)


@_EACH
def test_good_image_verifies_and_correction_leaves_it_alone(label: str) -> None:
    sample, module = _sample(label)
    report = module.verify(sample.image)
    assert report.verdict is Verdict.OK
    assert report.family == sample.module
    assert report.signed is sample.signed
    assert module.correct(sample.image) == sample.image


@_EACH
def test_reports_stay_inside_the_image(label: str) -> None:
    sample, module = _sample(label)
    blocks = module.verify(sample.image).blocks
    stores = {block.store_at for block in blocks if block.store_at is not None}
    assert stores == {at for at in stores if any(start <= at < end for start, end in sample.stores)}
    assert stores
    assert all(0 <= block.start <= block.end <= len(sample.image) for block in blocks)


@_EACH
@_EXAMPLES
@given(draw=st.data())
def test_one_flipped_bit_is_always_caught(label: str, draw: st.DataObject) -> None:
    sample, module = _sample(label)
    at = _place(sample.covered, draw)
    damaged = _flipped(sample.image, at, draw.draw(st.integers(0, 7)))
    assert module.verify(damaged).verdict is not Verdict.OK


@_EACH
@_EXAMPLES
@given(draw=st.data())
def test_correction_after_an_edit_touches_only_the_stores(label: str, draw: st.DataObject) -> None:
    sample, module = _unlocked(label)
    modified = _edited(sample, draw)
    corrected, report = correct_like_stock(module, sample.image, modified)
    assert report.verdict is Verdict.OK
    assert module.verify(corrected).verdict is Verdict.OK
    touched = _differs_at(modified, corrected)
    assert all(any(start <= at < end for start, end in sample.stores) for at in touched)
    assert bool(touched) is report.detail.startswith("corrected 0x")


@_EACH
@_EXAMPLES
@given(draw=st.data())
def test_a_stock_image_that_fails_backs_nothing(label: str, draw: st.DataObject) -> None:
    sample, module = _sample(label)
    bad_stock = _flipped(sample.image, _place(sample.covered, draw), 3)
    with pytest.raises(ChecksumRefused) as refused:
        correct_like_stock(module, bad_stock, sample.image)
    assert refused.value.code == "CHECKSUM_STOCK_UNVERIFIED"
    assert refused.value.do_now


@_EACH
def test_an_image_of_another_length_is_refused(label: str) -> None:
    sample, module = _sample(label)
    with pytest.raises(ChecksumRefused, match="CHECKSUM_LENGTH_DIFFERS"):
        correct_like_stock(module, sample.image, sample.image + b"\0")


@_EACH
def test_an_empty_image_is_unknown_and_cannot_be_corrected(label: str) -> None:
    _, module = _sample(label)
    assert module.verify(b"").verdict is Verdict.UNKNOWN
    with pytest.raises(ChecksumUnsupported, match="CHECKSUM_UNSUPPORTED"):
        module.correct(b"")


@_EACH
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=0x2000))
def test_any_short_bytes_give_a_report_that_is_no_pass(label: str, data: bytes) -> None:
    _, module = _sample(label)
    assert module.verify(data).verdict is not Verdict.OK


_WORDS = st.sampled_from(
    [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x80", b"\0\0\x80\0", b"\x10\0\0\0"]
)


@_EACH
@_EXAMPLES
@given(draw=st.data())
def test_absurd_headers_give_a_report_and_no_false_correction(label: str, draw: st.DataObject) -> None:
    """Hostile words anywhere, most of all where sizes, counts and pointers stand."""
    sample, module = _sample(label)
    image = bytearray(sample.image)
    for _ in range(draw.draw(st.integers(1, 8))):
        at = draw.draw(st.integers(0, len(image) - 4) | st.integers(0, 0x400) | st.just(_last_store(sample)))
        image[at : at + 4] = draw.draw(_WORDS | st.binary(min_size=4, max_size=4))
    assert module.verify(bytes(image)).family == sample.module
    with contextlib.suppress(ChecksumUnsupported):
        assert module.verify(module.correct(bytes(image))).verdict is Verdict.OK


def _last_store(sample: Sample) -> int:
    return max(0, sample.stores[-1][0] - 8)
