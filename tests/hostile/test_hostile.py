"""Two thousand hostile ECUs: no false success, no wrong original, no exception but ours, no hang."""

from __future__ import annotations

import pytest

from tests.hostile.runs import campaign, command, main, one_run, summary

SEED = 1
RUNS = 2000
SHARE = 125


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, RUNS, SHARE))
def test_no_hostile_ecu_makes_the_box_break_a_promise(first: int) -> None:
    results = list(campaign(SEED, SHARE, first=first))
    broken = [f"{command(result)}: {result.broken}" for result in results if result.broken]
    assert broken == [], summary(results)
    assert sum(result.struck for result in results) >= 5 * SHARE
    assert sum(result.outcome in ("done", "restored") for result in results) >= SHARE // 3
    assert sum(result.outcome == "read" for result in results) >= SHARE // 8


def test_a_seed_repeats_its_run() -> None:
    first, second = one_run(SEED), one_run(SEED)
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
