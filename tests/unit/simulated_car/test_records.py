"""Non-volatile records and the address sets in them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.ecu import spans
from simulator.ecu.nvm import NonVolatile, Records

edges = st.tuples(st.integers(0, 40), st.integers(1, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))
steps = st.lists(st.tuples(st.booleans(), edges), max_size=12)


@given(steps, edges)
def test_spans_behave_as_a_set_of_addresses(
    history: list[tuple[bool, tuple[int, int]]], asked: tuple[int, int]
) -> None:
    held: spans.Spans = []
    model: set[int] = set()
    for adding, (start, end) in history:
        held = (spans.add if adding else spans.remove)(held, start, end)
        model = model | set(range(start, end)) if adding else model - set(range(start, end))
    assert {address for low, high in held for address in range(low, high)} == model
    assert all(low[1] < high[0] for low, high in itertools.pairwise(held))
    wanted = set(range(*asked))
    assert spans.covers(held, *asked) == (wanted <= model)
    assert spans.overlaps(held, *asked) == bool(wanted & model)


def test_records_outlive_the_object(tmp_path: Path) -> None:
    file = tmp_path / "ecu.nvm"
    with NonVolatile(Records(), file).update() as records:
        records.failed_keys = 2
        records.dtcs = {"P0301-00": 0x2C}
        records.unfinished = [[16, 32]]
    again = NonVolatile(Records(failed_keys=9), file).records
    assert (again.failed_keys, again.dtcs, again.unfinished) == (2, {"P0301-00": 0x2C}, [[16, 32]])


def test_a_torn_replacement_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "ecu.nvm"
    with NonVolatile(Records(), file).update() as records:
        records.failed_keys = 1
    file.with_name("ecu.nvm.new").write_text('{"failed_')
    assert NonVolatile(Records(), file).records.failed_keys == 1


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ecu.nvm"
    file.write_text('{"something": "else"}')
    with pytest.raises(ValueError, match="not the non-volatile state"):
        NonVolatile(Records(), file)
