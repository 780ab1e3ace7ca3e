"""openremap, which we did not write, must judge the same images as we do.

It knows ME7 (main sum and multipoint table), MS43, Denso tables, and plain CRCs by sweeping. Its
other ME7 profiles key on stretches of factory program code, which synthetic images do not carry.
"""

import importlib
import importlib.metadata
import struct
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.checksums import Verdict, module_for

from . import images

_SERVICES = "openremap.core.services.checksums"
_FEW = settings(max_examples=15, deadline=None)


def _service(name: str) -> ModuleType:
    try:
        version = importlib.metadata.version("openremap")
        service = importlib.import_module(f"{_SERVICES}.{name}")
    except ImportError as missing:
        pytest.skip(f"openremap is not usable here, its checksum verdicts were not compared: {missing}")
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < (0, 7):
        pytest.skip(f"openremap {version} has no checksum verdicts, 0.7 is needed")
    return service


def _flipped(image: bytes, at: int, bit: int) -> bytes:
    return image[:at] + bytes([image[at] ^ 1 << bit]) + image[at + 1 :]


def _ours(sample: images.Sample, image: bytes, prefix: str = "") -> list[Verdict]:
    blocks = module_for(sample.module, sample.params).verify(image).blocks
    return [b.verdict for b in blocks if b.name.startswith(prefix) and b.verdict is not Verdict.UNKNOWN]


def _as_verdict(status: str) -> Verdict:
    return {"ok": Verdict.OK, "stale": Verdict.FAIL}[status]


@_FEW
@given(at=st.integers(0x20000, 0x3FFFF) | st.integers(0x10000, 0x1FFFF), bit=st.integers(0, 7))
def test_me7_main_sum(at: int, bit: int) -> None:
    service, sample = _service("checksum"), images.me7()
    for image in (sample.image, _flipped(sample.image, at, bit)):
        theirs = service.verify_me7(image)
        assert theirs is not None
        assert [_as_verdict(theirs.status)] == _ours(sample, image, "main program")


@_FEW
@given(at=st.integers(0, 0x7FFFE).filter(lambda at: not 0x40FF0 <= at < 0x41300), bit=st.integers(0, 7))
def test_me7_multipoint(at: int, bit: int) -> None:
    """Each record's words; openremap leaves out the last byte of a range, which the images keep zero."""
    service, sample = _service("checksum"), images.me7()
    at -= (at & 0x3FFF) == 0x3FFF
    for image in (sample.image, _flipped(sample.image, at, bit)):
        good = {block.offset for block in service.detect_me7_multipoint(image)}
        stale = {block.offset for block in service.detect_me7_multipoint_unverified(image)}
        theirs = {offset: Verdict.OK for offset in good} | {offset: Verdict.FAIL for offset in stale}
        blocks = module_for("me7", {}).verify(image).blocks
        points = [b for b in blocks if b.name.startswith("multipoint") and b.store_at is not None]
        assert theirs == {(b.store_at or 0) - 8: b.verdict for b in points}


@_FEW
@given(at=st.sampled_from([0x4800, 0x10000, 0x5ABCD, 0x70000, 0x73FDF, 0x3C24]), bit=st.integers(0, 7))
def test_ms43(at: int, bit: int) -> None:
    service, sample = _service("ms43"), images.ms43()
    for image in (sample.image, _flipped(sample.image, at, bit)):
        theirs = service.detect_ms43(image)
        assert theirs is not None
        assert [_as_verdict(check.status) for check in theirs.crcs] == _ours(sample, image)


def _denso_with_four_records() -> images.Sample:
    """openremap trusts a table of which three records hold, so damage needs a fourth."""
    sample = images.denso("last-byte")
    image = bytearray(sample.image)
    table_at, start, end = 0x1FB80, 0x400, 0x2000
    total = sum(word for (word,) in struct.iter_unpack(">I", bytes(image[start:end])))
    struct.pack_into(">III", image, table_at + 36, start, end - 1, (0x5AA5A55A - total) & 0xFFFFFFFF)
    return images.Sample(
        "denso-4", sample.module, sample.params, bytes(image), ((start, end),), ((start, end),), ()
    )


@_FEW
@given(at=st.integers(0x400, 0x1FA00), bit=st.integers(0, 7))
def test_denso(at: int, bit: int) -> None:
    service, sample = _service("denso"), _denso_with_four_records()
    for image in (sample.image, _flipped(sample.image, at, bit)):
        theirs = service.detect_denso(image)
        assert theirs is not None
        assert theirs.table_offset == 0x1FB80
        assert [_as_verdict(entry.status) for entry in theirs.entries] == _ours(sample, image)


def _whole_crc(module: str) -> images.Sample:
    params: dict[str, Any] = {"ranges": [[0, 0x1FFC]], "store_at": 0x1FFC}
    body = images.declared("crc32-at", "little").image[:0x1FFC]
    stored = struct.pack("<I", images.crc32_ieee(body))
    return images.Sample(module, module, params, body + stored, ((0, 0x2000),), (), ())


@pytest.mark.parametrize(
    ("build", "final_xor"),
    [(images.dq250, 0), (lambda: _whole_crc("crc32-at"), 0xFFFFFFFF)],
    ids=["vw-dq250", "crc32-at"],
)
@_FEW
@given(data=st.data())
def test_whole_file_crcs_found_by_sweeping(
    build: Callable[[], images.Sample], final_xor: int, data: st.DataObject
) -> None:
    service, sample = _service("checksum"), build()
    at = data.draw(st.integers(0, len(sample.image) - 1))
    for image in (sample.image, _flipped(sample.image, at, data.draw(st.integers(0, 7)))):
        found = [
            match.scheme
            for match in service.sweep(image)
            if match.scheme.algo == "crc32ieee" and match.scheme.region == "whole"
        ]
        agreed = any((s.init, s.final_xor, s.store_le) == (0xFFFFFFFF, final_xor, True) for s in found)
        assert _ours(sample, image) == [Verdict.OK if agreed else Verdict.FAIL]
