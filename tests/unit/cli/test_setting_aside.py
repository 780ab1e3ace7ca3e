"""set-aside, as it is typed, and the banner that stays."""

from __future__ import annotations

import pytest

from appliance.cli.exits import Exit
from appliance.cli.main import main
from appliance.cli.words import banner_lines
from tests.unit.cli.fake_engine import JOB, FakeEngine, operation

TYPED = ["set-aside", "--job", "4a6f", "--by", "A. Smith", "--reason", "waits for a supply"]


def test_a_word_is_confirmed_recorded_and_told(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    word = {"job": JOB["id"], "by": "A. Smith", "reason": "waits for a supply", "at": 1.0}
    engine.states = [operation("done", "set_aside", result=word)]
    assert main(TYPED) == Exit.REFUSED, "nobody said yes"
    assert not any(path == "POST /v1/operations" for path, _ in engine.asked)
    assert main([*TYPED, "--yes"]) == Exit.DONE
    asked = next(body for path, body in engine.asked if path == "POST /v1/operations")
    assert asked == {
        "verb": "set_aside",
        "job": JOB["id"],
        "by": "A. Smith",
        "reason": "waits for a supply",
    }
    told = capsys.readouterr().out
    assert "Set aside by A. Smith" in told
    assert f"pitbox recover --job {JOB['id']}" in told


@pytest.mark.parametrize("left_out", ["--job", "--by", "--reason"])
def test_a_word_without_a_job_a_name_or_a_reason_is_none(left_out: str) -> None:
    at = TYPED.index(left_out)
    with pytest.raises(SystemExit) as ended:
        main([*TYPED[:at], *TYPED[at + 2 :]])
    assert ended.value.code == Exit.USAGE


def test_the_banner_of_what_was_set_aside_stays_and_says_who() -> None:
    write = {"job": "j1", "vin": "V", "definition": "d", "half_written": True, "state": "interrupted"}
    plain = list(banner_lines([write | {"set_aside_by": None, "set_aside_reason": None}]))
    aside = list(banner_lines([write | {"set_aside_by": "A. Smith", "set_aside_reason": "why"}]))
    assert aside == [*plain, "  Set aside by A. Smith: why"]
