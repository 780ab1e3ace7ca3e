"""settle, as it is typed."""

from __future__ import annotations

import pytest

from appliance.cli.exits import Exit
from appliance.cli.main import main
from appliance.cli.words import banner_lines
from tests.unit.cli.fake_engine import JOB, FakeEngine, operation

TYPED = ["settle", "--job", "4a6f", "--by", "A. Smith", "--reason", "replaced"]


def test_a_word_is_confirmed_recorded_and_told(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    word = {"job": JOB["id"], "by": "A. Smith", "reason": "replaced", "at": 1.0}
    engine.states = [operation("done", "settle", result=word)]
    assert main(TYPED) == Exit.REFUSED, "nobody said yes"
    assert not any(path == "POST /v1/operations" for path, _ in engine.asked)
    assert main([*TYPED, "--yes"]) == Exit.DONE
    asked = next(body for path, body in engine.asked if path == "POST /v1/operations")
    assert asked == {"verb": "settle", "job": JOB["id"], "by": "A. Smith", "reason": "replaced"}
    assert "Settled on the word of A. Smith" in capsys.readouterr().out


@pytest.mark.parametrize("left_out", ["--job", "--by", "--reason"])
def test_a_word_without_a_job_a_name_or_a_reason_is_none(left_out: str) -> None:
    at = TYPED.index(left_out)
    with pytest.raises(SystemExit) as ended:
        main([*TYPED[:at], *TYPED[at + 2 :]])
    assert ended.value.code == Exit.USAGE


def test_only_a_job_for_the_bench_is_offered_it() -> None:
    write = {"job": "j1", "vin": "V", "definition": "d", "half_written": True}
    offered = {
        state: "\n".join(banner_lines([write | {"state": state}])) for state in ("needs_bench", "interrupted")
    }
    assert "`pitbox settle --job j1 --by NAME --reason TEXT`" in offered["needs_bench"]
    assert "settle" not in offered["interrupted"]
