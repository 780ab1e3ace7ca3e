"""A place is a memory, a start and a length: two memories may have the same addresses."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.places import Range

RANGES = st.builds(Range, st.sampled_from(["eeprom", "flash"]), st.integers(0, 12), st.integers(0, 6))


def bytes_of(place: Range) -> set[tuple[str, int]]:
    return {(place.memory, at) for at in range(place.start, place.end)}


@given(RANGES, RANGES)
def test_ranges_meet_where_they_share_bytes(one: Range, other: Range) -> None:
    shared = bytes_of(one) & bytes_of(other)
    assert one.overlaps(other) == bool(shared)
    common = one.common(other)
    assert (bytes_of(common) if common else set()) == shared


@given(RANGES, RANGES)
def test_a_range_contains_what_lies_wholly_inside(one: Range, other: Range) -> None:
    if other.length:
        assert one.contains(other) == (bytes_of(other) <= bytes_of(one))


@given(RANGES, st.integers(0, 8), st.integers(0, 8))
def test_a_part_ends_with_its_range(place: Range, offset: int, length: int) -> None:
    if offset <= place.length:
        inside = [(place.memory, place.start + at) for at in range(place.length)]
        assert bytes_of(place.part(offset, length)) == set(inside[offset : offset + length])


@given(RANGES)
def test_a_range_is_read_as_it_is_stored(place: Range) -> None:
    assert Range.from_json(asdict(place)) == place


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"memory": "flash", "start": 0},
        {"memory": 1, "start": 0, "length": 1},
        {"memory": "f", "start": "0"},
    ],
)
def test_half_a_range_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no range"):
        Range.from_json(value)


def test_in_words() -> None:
    assert str(Range("flash", 0x8000_0000, 0x4000)) == "flash 0x80000000+0x4000"
