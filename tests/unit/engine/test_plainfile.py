"""Plain files: whatever is handed in, whole writable regions come out, or an error that says why not."""

from __future__ import annotations

import bincopy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract.errors import PitboxError
from appliance.definitions.loader import PACKS, load_definition
from appliance.engine.plainfile import contents_of
from appliance.flashing.image import MemoryImage
from tests.support.box import random_image

DEFINITION = load_definition(PACKS / "pbx-x050.toml")
ORIGINAL = random_image(DEFINITION)
WHOLE = b"".join(ORIGINAL.spans.values())
WRITABLE = {region.start: region for region in DEFINITION.regions if region.writable}
CALIBRATION = DEFINITION.region("calibration")


def as_records(contents: dict[int, bytes], kind: str) -> bytes:
    file = bincopy.BinFile()
    for start, data in contents.items():
        file.add_binary(data, start)
    text: str = file.as_ihex() if kind == "ihex" else file.as_srec()
    return text.encode()


def refused(data: bytes) -> str:
    with pytest.raises(PitboxError) as refusal:
        contents_of(DEFINITION, ORIGINAL, data)
    return refusal.value.code


def test_the_whole_read_gives_every_writable_region() -> None:
    assert contents_of(DEFINITION, ORIGINAL, WHOLE) == {
        start: WHOLE[start : r.end] for start, r in WRITABLE.items()
    }


@pytest.mark.parametrize("first", [b"S", b":", b"S1", b":1"])
def test_a_bin_that_begins_like_a_record_is_a_bin(first: bytes) -> None:
    data = first + bytes(CALIBRATION.size_bytes - len(first))
    assert contents_of(DEFINITION, ORIGINAL, data) == {CALIBRATION.start: data}


@pytest.mark.parametrize("kind", ["ihex", "srec"])
@pytest.mark.parametrize(
    "names", [["calibration"], ["code"], ["code", "calibration"], ["boot", "code", "calibration"]]
)
def test_records_of_whole_regions_are_those_regions(kind: str, names: list[str]) -> None:
    regions = [DEFINITION.region(name) for name in names]
    given_ = {r.start: bytes(ORIGINAL.slice(r.start, r.size_bytes)) for r in regions}
    found = contents_of(DEFINITION, ORIGINAL, as_records(given_, kind))
    assert found == {start: data for start, data in given_.items() if start in WRITABLE}


@pytest.mark.parametrize("kind", ["ihex", "srec"])
def test_a_part_of_a_region_is_never_filled_up(kind: str) -> None:
    both = {CALIBRATION.start: bytes(CALIBRATION.size_bytes), 0x8000: bytes(100)}
    assert refused(as_records(both, kind)) == "FILE_LENGTH"
    assert refused(as_records({0xF0_0000: bytes(64)}, kind)) == "FILE_LENGTH"


def test_a_file_that_changes_what_is_never_written_is_refused() -> None:
    assert refused(bytes([WHOLE[0] ^ 1]) + WHOLE[1:]) == "FILE_CHANGES_FIXED"
    changed = {0: bytes(0x8000), CALIBRATION.start: bytes(CALIBRATION.size_bytes)}
    assert refused(as_records(changed, "ihex")) == "FILE_CHANGES_FIXED"


@given(size=st.integers(0, len(WHOLE) + 64))
def test_a_length_that_fits_nothing_is_refused(size: int) -> None:
    if size == len(WHOLE) or size in {region.size_bytes for region in WRITABLE.values()}:
        return
    assert refused(bytes(size)) == "FILE_LENGTH"


_LINES = st.one_of(
    st.binary(max_size=40),
    st.text(alphabet="0123456789ABCDEF:S \r\n", max_size=60).map(str.encode),
    st.builds(
        lambda n, d: as_records({n: d}, "srec"),
        st.integers(0, 0xFFFFFF00),
        st.binary(min_size=1, max_size=40),
    ),
)


@settings(max_examples=300, deadline=None)
@given(head=st.sampled_from([b"S1", b":1000000000", b"S0060000", b""]), lines=st.lists(_LINES, max_size=4))
def test_hostile_records_are_refused_and_never_surprise(head: bytes, lines: list[bytes]) -> None:
    assert refused(head + b"\n".join(lines)) in {"FILE_LENGTH", "FILE_FORMAT"}


def test_a_read_with_gaps_is_cut_where_it_was_read() -> None:
    partial = MemoryImage({start: data for start, data in ORIGINAL.spans.items() if start != 0})
    data = b"".join(partial.spans.values())
    assert set(contents_of(DEFINITION, partial, data)) == set(WRITABLE)
