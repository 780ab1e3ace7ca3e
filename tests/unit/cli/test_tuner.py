"""The demo's tuner, and reading back what the box exported."""

from __future__ import annotations

import bincopy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.cli.demo.tuner import edit, slice_of_srec

START = 0x8000_0000


@given(st.binary(min_size=1, max_size=500), st.integers(0, 400), st.integers(1, 100), st.integers(1, 64))
def test_any_slice_of_an_s_record_file_comes_back(content: bytes, at: int, size: int, width: int) -> None:
    file = bincopy.BinFile()
    file.add_binary(content, address=START)
    text = file.as_srec(number_of_data_bytes=width, address_length_bits=32)
    if at + size <= len(content):
        assert slice_of_srec(text, START + at, size) == content[at : at + size]
    else:
        with pytest.raises(ValueError, match="of"):
            slice_of_srec(text, START + at, size)


@given(st.integers(0, 1000), st.lists(st.sampled_from([0x2000, 0x4000, 0x8000]), min_size=1, max_size=16))
def test_edits_are_counted_repeatable_and_cut_inside_what_they_touch(seed: int, sectors: list[int]) -> None:
    content = bytes(sum(sectors))
    edits = edit(content, sectors, seed)
    assert edits == edit(content, sectors, seed)
    assert sum(new != old for new, old in zip(edits.content, content, strict=True)) == edits.changed_bytes
    starts = [sum(sectors[:index]) for index in range(len(sectors))]
    spans = [
        size for start, size in zip(starts, sectors, strict=True) if any(edits.content[start : start + size])
    ]
    assert len(spans) == edits.sectors == min(3, sum(start < len(content) * 0.8 for start in starts))
    assert 0 < edits.cut_at_byte < sum(spans)


def test_another_seed_makes_another_file() -> None:
    content, sectors = bytes(0x10000), [0x4000] * 4
    assert edit(content, sectors, 1).content != edit(content, sectors, 2).content
