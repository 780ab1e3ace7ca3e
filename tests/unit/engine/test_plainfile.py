"""Plain files: whatever is handed in, whole writable regions come out, or an error that says why not."""

from __future__ import annotations

import random

import bincopy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract.errors import PitboxError
from appliance.contract.places import FLASH
from appliance.definitions.loader import PACKS, load_definition
from appliance.engine.hexfile import runs_of
from appliance.engine.plainfile import contents_of
from appliance.flashing.image import MemoryImage
from tests.support.box import random_image, with_eeprom
from tests.support.places import in_flash

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
        contents_of(DEFINITION.id, DEFINITION.regions, ORIGINAL, data)
    return refusal.value.code


def test_the_whole_read_gives_every_writable_region() -> None:
    assert contents_of(DEFINITION.id, DEFINITION.regions, ORIGINAL, WHOLE) == {
        r.place.at: WHOLE[start : r.end] for start, r in WRITABLE.items()
    }


@pytest.mark.parametrize("first", [b"S", b":", b"S1", b":1"])
def test_a_bin_that_begins_like_a_record_is_a_bin(first: bytes) -> None:
    data = first + bytes(CALIBRATION.size_bytes - len(first))
    assert contents_of(DEFINITION.id, DEFINITION.regions, ORIGINAL, data) == {CALIBRATION.place.at: data}


@pytest.mark.parametrize("kind", ["ihex", "srec"])
@pytest.mark.parametrize(
    "names", [["calibration"], ["code"], ["code", "calibration"], ["boot", "code", "calibration"]]
)
def test_records_of_whole_regions_are_those_regions(kind: str, names: list[str]) -> None:
    regions = [DEFINITION.region(name) for name in names]
    given_ = {r.start: bytes(ORIGINAL.slice(r.place)) for r in regions}
    found = contents_of(DEFINITION.id, DEFINITION.regions, ORIGINAL, as_records(given_, kind))
    assert found == in_flash({start: data for start, data in given_.items() if start in WRITABLE})


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


def records_of(content: bytes, start: int, each: int) -> list[bytes]:
    """S-records of a few bytes each, without their header and their end."""
    pieces = (as_records({start + at: content[at : at + each]}, "srec") for at in range(0, each * 64, each))
    return [line for piece in pieces for line in piece.splitlines() if line[1:2] in b"123"]


def test_records_in_any_order_are_the_same_content() -> None:
    start, content = CALIBRATION.start, ORIGINAL.slice(CALIBRATION.place)
    shuffled = records_of(content, start, 8)
    rest = as_records({start + 512: content[512:]}, "srec")
    random.Random(1).shuffle(shuffled)
    assert contents_of(DEFINITION.id, DEFINITION.regions, ORIGINAL, b"\n".join([*shuffled, rest])) == {
        CALIBRATION.place.at: content
    }


@pytest.mark.timeout(20)
def test_records_in_disorder_do_not_hold_the_box() -> None:
    """Scattered and shuffled, a few hundred thousand bytes of text once took minutes."""
    size = sum(region.size_bytes for region in DEFINITION.regions)
    lines = [_single(at) for at in range(0, min(size, 100_000), 2)]
    random.Random(1).shuffle(lines)
    assert refused(b"\n".join(lines)) == "FILE_LENGTH"


def _single(at: int) -> bytes:
    """An S3 record of one byte."""
    body = bytes([6]) + at.to_bytes(4) + b"\x5a"
    return b"S3" + (body + bytes([~sum(body) & 0xFF])).hex().upper().encode()


def test_more_text_than_the_ecu_has_memory_is_not_even_parsed() -> None:
    size = sum(region.size_bytes for region in DEFINITION.regions)
    assert refused(b"S0030000FC\n" * (size * 2)) == "FILE_LENGTH"


@pytest.mark.parametrize(
    "text",
    [
        b":0100000055AA\n:0100000055AA\n",
        b":0100000055AB\n",
        b":020000021000EC\n:01000006FFFA\n",
        b":0100000055AA\nS0030000FC\n",
        b"S0030000FC\n:0100000055AA\n",
        b"S4030000FC\n",
        b"S303000000FC\n",
        b":0300000400000000F9\n:0100000055AA \n\x85:00000001FF\n",
    ],
)
def test_records_that_are_not_whole_are_refused(text: bytes) -> None:
    assert refused(text) == "FILE_FORMAT"


@settings(max_examples=100, deadline=None)
@given(
    spans=st.dictionaries(
        st.integers(0, 0xFFFFF), st.binary(min_size=1, max_size=90), min_size=1, max_size=4
    ),
    kind=st.sampled_from(["ihex", "srec"]),
)
def test_runs_are_those_of_an_independent_reader(spans: dict[int, bytes], kind: str) -> None:
    apart = {(start & ~0xFF): data for start, data in spans.items()}
    text = as_records(apart, kind).decode()
    witness = bincopy.BinFile()
    witness.add(text)
    assert runs_of(text) == [(one.minimum_address, bytes(one.data)) for one in witness.segments]


def test_a_read_with_gaps_is_cut_where_it_was_read() -> None:
    partial = MemoryImage({at: data for at, data in ORIGINAL.spans.items() if at != (FLASH, 0)})
    data = b"".join(partial.spans.values())
    assert set(contents_of(DEFINITION.id, DEFINITION.regions, partial, data)) == {
        region.place.at for region in WRITABLE.values()
    }


@pytest.mark.parametrize("kind", ["ihex", "srec"])
def test_addresses_that_two_memories_share_are_refused(kind: str) -> None:
    both = with_eeprom()
    region = both.region("calibration")
    data = as_records({region.start: bytes(region.size_bytes)}, kind)
    with pytest.raises(PitboxError) as refusal:
        contents_of(both.id, both.regions, random_image(both), data)
    assert refusal.value.code == "FILE_AMBIGUOUS"
    assert "eeprom" in refusal.value.what
