"""The figures of docs/performance.md that must hold everywhere: ratios on simulated time."""

from __future__ import annotations

import pytest

from benchmarks import delta, transfer
from benchmarks.models import Model

ENOUGH = 0.95


@pytest.mark.parametrize("model", transfer.MODELS, ids=lambda model: model.name)
def test_reading_1_mib_reaches_95_percent_of_the_ideal(model: Model) -> None:
    seconds, data = transfer.our_read(model)
    assert ENOUGH < model.ideal_s(data, read=True) / seconds <= 1


@pytest.mark.parametrize("model", transfer.MODELS, ids=lambda model: model.name)
def test_writing_1_mib_reaches_95_percent_of_the_ideal(model: Model) -> None:
    data = transfer.content()
    seconds, held = transfer.our_write(model, data)
    assert held == data
    assert ENOUGH < model.ideal_s(data, read=False) / seconds <= 1


@pytest.mark.parametrize(
    ("start", "sectors"), [(delta.WITH_CHECKSUM, 1), (delta.WITHOUT_CHECKSUM, 2)], ids=["one", "two"]
)
def test_a_change_of_32_kib_costs_hashing_and_the_sectors_it_touches(start: int, sectors: int) -> None:
    """The ideal has no request in it; five percent are for those. A full write takes 160 s and more."""
    run = delta.timed_write(start)
    assert run.sectors == sectors
    assert run.memory_s < run.ideal_s / ENOUGH
    assert run.total_s < 10
