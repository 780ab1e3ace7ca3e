"""Images with holes: what lies on top, what is left out, and what is never invented."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.places import Range
from appliance.flashing.image import MemoryImage
from tests.support.places import flash, in_flash

SIZE = 40


@st.composite
def images(draw: st.DrawFn) -> MemoryImage:
    """Runs that do not overlap, of any lengths, in a small address space."""
    edges = sorted(draw(st.sets(st.integers(0, SIZE), max_size=8)))
    value = draw(st.integers(1, 200))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return MemoryImage(
        in_flash({low: bytearray([value]) * (high - low) for low, high in pairs if high > low})
    )


def at(image: MemoryImage, address: int) -> int | None:
    return image.slice(flash(address, 1))[0] if image.covers(flash(address, 1)) else None


@given(images(), images())
def test_every_byte_is_that_of_the_upper_image_or_of_the_lower_or_of_none(
    lower: MemoryImage, upper: MemoryImage
) -> None:
    patched = lower.patched(upper)
    for address in range(SIZE):
        above = at(upper, address)
        assert at(patched, address) == (at(lower, address) if above is None else above)
    starts = set(patched.spans)
    assert not starts & {(place.memory, place.end) for place, _ in patched.pieces}


@given(images(), st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=4))
def test_nothing_is_left_of_what_is_taken_out(image: MemoryImage, ranges: list[tuple[int, int]]) -> None:
    left = image.without(flash(low, max(high - low, 0)) for low, high in ranges)
    for address in range(SIZE):
        gone = any(low <= address < high for low, high in ranges)
        assert at(left, address) == (None if gone else at(image, address))


def test_one_address_in_two_memories_is_two_places() -> None:
    flash_, eeprom = Range("flash", 0, 8), Range("eeprom", 0, 8)
    image = MemoryImage({flash_.at: b"flash  1", eeprom.at: b"eeprom 1"})
    assert (image.slice(flash_), image.slice(eeprom)) == (b"flash  1", b"eeprom 1")
    other = MemoryImage({eeprom.at: b"EEPROM 1"})
    assert image.overlaid(other).slice(flash_) == b"flash  1"
    assert image.patched(other).slice(eeprom) == b"EEPROM 1"
    assert image.overlaid(other).changed_ranges(image) == (Range("eeprom", 0, 6),)
    assert image.without([flash_]).pieces == ((eeprom, b"eeprom 1"),)
    assert not image.covers(Range("ram", 0, 1))


def test_the_end_of_one_memory_does_not_touch_the_start_of_another() -> None:
    low, high = MemoryImage({("a", 0): b"12"}), MemoryImage({("b", 2): b"34"})
    assert len(low.patched(high).spans) == 2
