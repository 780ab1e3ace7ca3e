"""Two thousand hostile ECUs: no false success, no wrong original, no exception but ours, no hang."""

from __future__ import annotations

import random

import pytest

from tests.hostile import can
from tests.hostile import run as runs
from tests.hostile.runs import campaign, command, main, one_run, summary
from tests.hostile.spite import Spite

SEED = 1
RUNS = 2000
SHARE = 125
LINE_RUNS, LINE_SHARE = 80, 20


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, RUNS, SHARE))
def test_no_hostile_ecu_makes_the_box_break_a_promise(first: int) -> None:
    results = list(campaign(SEED, SHARE, first=first))
    broken = [f"{command(result)}: {result.broken}" for result in results if result.broken]
    assert broken == [], summary(results)
    assert sum(result.struck for result in results) >= 5 * SHARE
    assert sum(result.outcome in ("done", "restored") for result in results) >= SHARE // 3
    assert sum(result.outcome == "read" for result in results) >= SHARE // 8


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, LINE_RUNS, LINE_SHARE))
def test_no_hostile_ecu_on_a_k_line_does_either(first: int) -> None:
    """The first of the two thousand that `make hostile` runs."""
    results = list(campaign(SEED, LINE_SHARE, first=first, wire="kline"))
    broken = [f"{command(result, 'kline')}: {result.broken}" for result in results if result.broken]
    assert broken == [], summary(results)
    assert sum(result.struck for result in results) >= 5 * LINE_SHARE
    assert sum(result.outcome in ("done", "restored") for result in results) >= LINE_SHARE // 3
    assert any(result.outcome == "read" for result in results)


def test_a_write_that_met_its_bound_of_erases_is_finished_once_a_person_allows_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the error says: what stands in the way, here spite, is found first."""
    monkeypatch.setattr(can, "FRAMES_SHARE", 0.0)
    monkeypatch.setattr(runs, "KINDS", ("write",))
    monkeypatch.setattr(runs, "HOSTILE_ATTEMPTS", 6)
    monkeypatch.setattr(
        can,
        "spite_for",
        lambda dice, _frames: Spite(random.Random(dice.random()), 0.5, ("broken_off",), (0x36,)),
    )
    for result in campaign(9, 3, "block"):
        assert (result.outcome, result.broken) == ("done", "")
        assert any("ERASE_BOUND" in line for line in result.trace)
        assert "'more_erases': True" in "".join(result.trace)


def test_a_seed_repeats_its_run() -> None:
    for wire in ("can", "kline"):
        first, second = one_run(SEED, wire=wire), one_run(SEED, wire=wire)
        assert first == second
        assert first.trace and first.virtual_s > 1


def test_the_command_line_tells_the_truth(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--runs", "2", "--seed", "3", "--shape", "hash"]) == 0
    monkeypatch.setattr("tests.hostile.run.HOSTILE_ATTEMPTS", -4)
    assert main(["--only", "3000000", "--shape", "hash"]) == 1
    assert main(["--runs", "1", "--seed", "3", "--shape", "hash"]) == 1
    shown = capsys.readouterr().out
    assert "2 runs" in shown
    assert "python -m tests.hostile.runs --only 3000000 --shape hash" in shown
