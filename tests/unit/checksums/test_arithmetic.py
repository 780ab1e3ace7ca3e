"""CRC check values, the GF(2) solver and the word arithmetic below the families."""

import functools
import operator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.checksums import crc
from appliance.checksums.gf2 import crc32_adjustment, solve
from appliance.checksums.stock import changed_regions
from appliance.checksums.words import Order, Span, affordable, sum_words, without, words, xor_words

from .images import bitwise_crc, crc32_dword_reaching, crc32_state

_DIGITS = b"123456789"


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (crc.crc32, 0xCBF43926),
        (crc.jamcrc, 0x340BC6D9),
        (crc.crc32_unreflected, 0x89A1897F),
        (crc.crc16_ccitt, 0x29B1),
        (crc.crc16_arc, 0xBB3D),
    ],
)
def test_published_check_values(function: object, value: int) -> None:
    assert callable(function)
    assert function(_DIGITS) == value


@given(data=st.binary(max_size=200), init=st.integers(0, 0xFFFFFFFF))
def test_crcs_agree_with_the_textbook_bit_loop(data: bytes, init: int) -> None:
    assert crc.crc32_register(data, init) == bitwise_crc(data, 32, 0xEDB88320, init, True, 0)
    assert crc.crc32_unreflected(data) == bitwise_crc(data, 32, 0x04C11DB7, 0, False, 0)
    assert crc.crc16_arc(data, init & 0xFFFF) == bitwise_crc(data, 16, 0xA001, init & 0xFFFF, True, 0)
    assert crc.crc16_ccitt(data, init & 0xFFFF) == bitwise_crc(data, 16, 0x1021, init & 0xFFFF, False, 0)


@given(head=st.binary(), tail=st.binary())
def test_a_crc32_goes_on_from_an_earlier_one(head: bytes, tail: bytes) -> None:
    assert crc.crc32(tail, crc.crc32(head)) == crc.crc32(head + tail)


@given(columns=st.lists(st.integers(0, 255), max_size=12), picks=st.sets(st.integers(0, 11)))
def test_solver_reaches_every_reachable_target(columns: list[int], picks: set[int]) -> None:
    def combined(chosen: int) -> int:
        used = (column for index, column in enumerate(columns) if chosen >> index & 1)
        return functools.reduce(operator.xor, used, 0)

    target = combined(sum(1 << index for index in picks if index < len(columns)))
    answer = solve(columns, target)
    assert answer is not None
    assert combined(answer) == target


@given(columns=st.lists(st.integers(0, 63), max_size=6), target=st.integers(0, 63))
def test_solver_says_so_when_no_choice_reaches_the_target(columns: list[int], target: int) -> None:
    reachable = {0}
    for column in columns:
        reachable |= {value ^ column for value in reachable}
    assert (solve(columns, target) is not None) is (target in reachable)


@given(
    head=st.binary(max_size=64),
    tail=st.binary(max_size=64),
    init=st.integers(0, 0xFFFFFFFF),
    target=st.integers(0, 0xFFFFFFFF),
)
def test_adjust_dword_brings_the_crc_to_any_target(head: bytes, tail: bytes, init: int, target: int) -> None:
    dword = crc32_adjustment(head + b"gone" + tail, len(head), init, target).to_bytes(4, "little")
    assert crc32_state(head + dword + tail, init) == target
    if not tail:
        assert dword == crc32_dword_reaching(crc32_state(head, init), target)


@given(data=st.binary(max_size=64), order=st.sampled_from(["little", "big"]))
def test_words_leave_out_a_ragged_tail(data: bytes, order: Order) -> None:
    span = Span(0, len(data))
    expected = [int.from_bytes(data[at : at + 4], order) for at in range(0, len(data) - 3, 4)]
    assert list(words(data, span, 4, order)) == expected
    assert sum_words(data, span, 4, order) == sum(expected)
    assert xor_words(data, span, order) == functools.reduce(operator.xor, expected, 0)


_SPANS = st.builds(lambda start, size: Span(start, start + size), st.integers(0, 40), st.integers(1, 20))


@given(span=_SPANS, holes=st.lists(_SPANS, max_size=4))
def test_holes_leave_exactly_the_other_offsets(span: Span, holes: list[Span]) -> None:
    left = [at for piece in without(span, holes) for at in range(piece.start, piece.end)]
    cut = {at for hole in holes for at in range(hole.start, hole.end)}
    assert left == [at for at in range(span.start, span.end) if at not in cut]


def test_a_table_that_covers_the_image_over_and_over_is_not_affordable() -> None:
    assert affordable([Span(0, 100)] * 8, 100)
    assert not affordable([Span(0, 100)] * 9, 100)
    assert not affordable([Span(0, 101)], 100)
    assert not affordable([Span(-1, 5)], 100)


@given(old=st.binary(min_size=1, max_size=300), edits=st.sets(st.integers(0, 299)))
def test_changed_regions_hold_every_changed_byte(old: bytes, edits: set[int]) -> None:
    changed = {at for at in edits if at < len(old)}
    new = bytes(byte ^ (at in changed) for at, byte in enumerate(old))
    spans = changed_regions(old, new)
    assert {at for at in range(len(old)) if old[at] != new[at]} == changed
    assert all(any(span.start <= at < span.end for span in spans) for at in changed)
    assert all({span.start, span.end - 1} <= changed for span in spans)
    assert all(later.start - earlier.end >= 8 for earlier, later in pairwise(spans))
