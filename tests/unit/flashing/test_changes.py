"""What a write would change: counted to the byte, told by region."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.flashing.changes import MOST_RANGES, Difference, changed_bytes, changes_of, difference
from appliance.flashing.image import MemoryImage
from tests.support.box import random_image, small_definition, tuned_from
from tests.support.places import flash

DEFINITION = small_definition()
ORIGINAL = random_image(DEFINITION)
CALIBRATION = DEFINITION.region("calibration")


@given(st.lists(st.tuples(st.sampled_from([0, 7, 255]), st.sampled_from([0, 7, 255])), max_size=300))
def test_a_difference_counts_what_is_not_blank_in_both(pairs: list[tuple[int, int]]) -> None:
    old, new = (bytes(column) for column in zip(*pairs, strict=True)) if pairs else (b"", b"")
    found = difference(old, new, 255)
    assert found.changed_bytes == sum(left != right for left, right in pairs)
    assert found.content_bytes == sum(not left == right == 255 for left, right in pairs)
    assert changed_bytes(old, new) == (
        bytes(left for left, right in pairs if left != right),
        bytes(right for left, right in pairs if left != right),
    )


def test_pieces_are_counted_as_a_whole() -> None:
    old = bytes(0x2_8003)
    new = bytearray(old)
    for at in (0, 0xFFFF, 0x1_0000, 0x2_8002):
        new[at] = 1
    assert difference(old, bytes(new), 0) == Difference(4, 4)
    assert difference(old, bytes(new), 0xFF) == Difference(4, len(old))
    assert changed_bytes(old, bytes(new)) == (bytes(4), b"\1" * 4)


def test_other_lengths_are_not_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        difference(b"12", b"1", 0)


def test_blank_memory_has_no_share() -> None:
    assert difference(b"\xff" * 9, b"\xff" * 9, 0xFF).share == 0.0


def test_changes_are_told_by_region() -> None:
    tuned = tuned_from(DEFINITION, ORIGINAL, 5, 6, 21, 38, CALIBRATION.size_bytes - 1)
    (change,) = changes_of(DEFINITION, ORIGINAL, tuned)
    at = CALIBRATION.start
    assert (change.region, change.tag, change.place) == ("calibration", "calibration", CALIBRATION.place)
    assert change.changed_bytes == 5
    assert change.ranges == (flash(at + 5, 17), flash(at + 38, 1), flash(at + 16383, 1))
    assert change.ranges_total == 3


def test_a_region_that_stays_as_it_is_is_told_too() -> None:
    changes = changes_of(DEFINITION, ORIGINAL, ORIGINAL)
    assert [(one.region, one.changed_bytes, one.ranges) for one in changes] == [
        ("boot", 0, ()),
        ("code", 0, ()),
        ("calibration", 0, ()),
    ]


def test_only_the_first_ranges_are_listed() -> None:
    content = bytearray(ORIGINAL.slice(CALIBRATION.place))
    for at in range(0, 32 * (MOST_RANGES + 5), 32):
        content[at] ^= 1
    (change,) = changes_of(DEFINITION, ORIGINAL, MemoryImage({CALIBRATION.place.at: bytes(content)}))
    assert (len(change.ranges), change.ranges_total) == (MOST_RANGES, MOST_RANGES + 5)
    assert change.changed_bytes == MOST_RANGES + 5


def test_a_part_of_a_region_is_not_told_as_one() -> None:
    assert changes_of(DEFINITION, ORIGINAL, MemoryImage({CALIBRATION.place.at: b"short"})) == ()
