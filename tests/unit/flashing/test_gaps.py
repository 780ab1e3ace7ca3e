"""Images with holes: what lies on top, what is left out, and what is never invented."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.flashing.image import MemoryImage

SIZE = 40


@st.composite
def images(draw: st.DrawFn) -> MemoryImage:
    """Runs that do not overlap, of any lengths, in a small address space."""
    edges = sorted(draw(st.sets(st.integers(0, SIZE), max_size=8)))
    value = draw(st.integers(1, 200))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return MemoryImage({low: bytearray([value]) * (high - low) for low, high in pairs if high > low})


def at(image: MemoryImage, address: int) -> int | None:
    return image.slice(address, 1)[0] if image.covers(address, 1) else None


@given(images(), images())
def test_every_byte_is_that_of_the_upper_image_or_of_the_lower_or_of_none(
    lower: MemoryImage, upper: MemoryImage
) -> None:
    patched = lower.patched(upper)
    for address in range(SIZE):
        above = at(upper, address)
        assert at(patched, address) == (at(lower, address) if above is None else above)
    starts = set(patched.spans)
    assert not starts & {start + len(data) for start, data in patched.spans.items()}


@given(images(), st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=4))
def test_nothing_is_left_of_what_is_taken_out(image: MemoryImage, ranges: list[tuple[int, int]]) -> None:
    left = image.without(ranges)
    for address in range(SIZE):
        gone = any(low <= address < high for low, high in ranges)
        assert at(left, address) == (None if gone else at(image, address))
