"""A slice of the damage to every stored file, and proof that its judge says no."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.flashing.writes_record import WritesRecord
from tests.faults.damage import Base, make_bases, run

SLICE = 60


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[Base]:
    return make_bases(tmp_path_factory.mktemp("bases") / "all")


def test_no_damaged_file_breaks_a_promise(bases: list[Base], tmp_path: Path) -> None:
    results = [run(seed, bases, tmp_path) for seed in range(1, SLICE + 1)]
    assert [result for result in results if result.broken] == []
    assert sum(result.outcome in ("done", "restored") for result in results) > SLICE // 2


def test_a_box_without_the_record_of_writes_is_found_out(
    bases: list[Base], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WritesRecord, "reconcile", lambda record, distrust: ())
    results = [run(seed, bases, tmp_path) for seed in range(1, 3 * SLICE + 1)]
    assert any("forgotten" in result.broken for result in results)
