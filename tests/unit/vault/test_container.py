from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.vault.container import MEMBERS_MAX, list_members, read_member
from tests.support.packages import contained

NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
PACKED = contained([("first", b"11111111"), ("second", b"22222222")])
CENTRAL = PACKED.index(b"PK\1\2")


def unpack(packed: bytes) -> dict[str, bytes]:
    file = io.BytesIO(packed)
    return {name: read_member(file, member) for name, member in list_members(file, len(packed)).items()}


@given(st.dictionaries(NAMES, st.binary(max_size=200), max_size=8))
def test_members_come_back_here_and_in_zipfile(members: dict[str, bytes]) -> None:
    packed = contained(members.items())
    assert unpack(packed) == members
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == members


@given(st.integers(0, len(PACKED) * 8 - 1))
def test_any_flipped_bit_is_refused(bit: int) -> None:
    damaged = bytearray(PACKED)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match=r"\w"):
        unpack(bytes(damaged))


@given(st.binary(max_size=120), st.integers(0, 3))
def test_hostile_directories_raise_nothing_else(data: bytes, count: int) -> None:
    directory = b"PK\1\2" + data
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), 0, 0)
    with pytest.raises(ValueError, match=r"\w"):
        unpack(directory + end)


def test_a_damaged_member_is_refused() -> None:
    damaged = PACKED.replace(b"11111111", b"11111112")
    with pytest.raises(ValueError, match="first is damaged"):
        unpack(damaged)


def test_members_on_top_of_each_other_are_refused() -> None:
    """Two entries over the same bytes: how a small file grows into a large one without compression."""
    twice = bytearray(contained([("first", b"11111111"), ("first", b"11111111")]))
    second = twice.rindex(b"PK\1\2")
    twice[second + 42 : second + 46] = bytes(4)
    with pytest.raises(ValueError, match="overlaps another"):
        unpack(bytes(twice))


@pytest.mark.parametrize("at", [0, CENTRAL], ids=["in front", "behind the last member"])
def test_bytes_of_no_member_are_refused(at: int) -> None:
    padded = bytearray(PACKED[:at] + b"#!/bin/sh\n" + PACKED[at:])
    padded[-6:-2] = struct.pack("<I", CENTRAL + 10)
    with pytest.raises(ValueError, match=r"no member|does not match the directory"):
        unpack(bytes(padded))


def test_the_number_of_members_is_limited() -> None:
    most = contained((str(i), b"") for i in range(MEMBERS_MAX))
    assert len(unpack(most)) == MEMBERS_MAX
    with pytest.raises(ValueError, match="more than 1024 members"):
        unpack(contained((str(i), b"") for i in range(MEMBERS_MAX + 1)))
    with pytest.raises(ValueError, match="overlong names"):
        unpack(contained([("n" * 97, b"")]))


def test_an_empty_container_has_no_members() -> None:
    assert unpack(contained([])) == {}
