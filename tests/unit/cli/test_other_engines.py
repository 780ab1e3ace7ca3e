"""Engines of other versions: what only tells more is read, what tells less is refused in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.cli.exits import Exit
from appliance.cli.main import main
from tests.unit.cli.fake_engine import IDLE, JOB, FakeEngine, event, operation, snapshot
from tests.unit.cli.test_operations import READ_RESULT


def enriched(value: Any) -> Any:
    """The same with a field more in every object."""
    if isinstance(value, dict):
        return {key: enriched(one) for key, one in value.items()} | {"of_a_newer_engine": {"more": [1]}}
    return [enriched(one) for one in value] if isinstance(value, list) else value


def test_what_a_newer_engine_tells_besides_is_handed_on(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answers["/v1/jobs"] = (200, json.dumps(enriched([JOB])).encode())
    assert main(["jobs", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out) == enriched([JOB])
    engine.states = [enriched(operation()), enriched(operation("done", result=READ_RESULT))]
    engine.streams = [[enriched(snapshot(operation())), enriched(event(kind="note", text="more of it"))]]
    assert main(["read"]) == Exit.DONE
    told = capsys.readouterr()
    assert "Both reads: identical" in told.out and "more of it" in told.err


def test_events_of_a_new_kind_are_no_news(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.states = [operation(), operation("done", result=READ_RESULT)]
    strange = event(kind="of a newer engine", much=1)
    first = snapshot(operation()) | {"latest": {"of a newer engine": strange}}
    engine.streams = [[first, strange, event(kind="note", text="goes on")]]
    assert main(["read"]) == Exit.DONE
    told = capsys.readouterr().err
    assert "goes on" in told and "cannot be read" not in told


def test_an_event_that_cannot_be_read_is_told_once_and_the_rest_followed(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.states = [operation(), operation("done", result=READ_RESULT)]
    broken = event(kind="alarm", code="X", text=7, raised=True)
    engine.streams = [[IDLE | {"operation": operation()}, broken, broken, event(kind="note", text="goes on")]]
    assert main(["read"]) == Exit.DONE
    told = capsys.readouterr().err
    assert told.count("cannot be read: text: int in place of str") == 1
    assert "goes on" in told


def test_who_watches_by_machine_gets_what_cannot_be_read_as_it_came(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = event(kind="alarm", code="X", text=7, raised=True)
    tell = engine.stream

    def once() -> bytes:
        engine.dead = True
        return tell()

    engine.stream = once  # type: ignore[method-assign]
    engine.streams = [[broken]]
    main(["jobs", "--watch", "--json"])
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == broken


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([{key: value for key, value in JOB.items() if key != "state"}], "[0]: state is missing"),
        ([JOB | {"created_at": "now"}], "[0].created_at: str in place of float"),
        ([JOB | {"id": None}], "[0].id: NoneType in place of str"),
        ([[]], "[0]: list in place of an object"),
        ({"jobs": []}, "the answer: dict in place of list"),
    ],
)
def test_an_answer_that_cannot_be_read_is_an_error_with_five_answers(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], answer: object, why: str
) -> None:
    engine.answers["/v1/jobs"] = (200, json.dumps(answer).encode())
    assert main(["jobs"]) == Exit.REFUSED
    told = capsys.readouterr().err
    assert f"the engine's answer to GET /v1/jobs cannot be read: {why}" in told
    assert "ECU:    Untouched" in told, "as the engine says itself"
    assert "Engine and command line must be of the same version" in told
    assert "ANSWER_UNREADABLE" in told


def test_a_result_that_cannot_be_read_is_an_error(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.states = [operation("done", result=READ_RESULT | {"reads": None})]
    assert main(["read"]) == Exit.REFUSED
    assert "the engine's answer to read cannot be read: reads: NoneType" in capsys.readouterr().err


def test_whether_a_write_is_open_is_never_passed_over(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answers["/v1/safety"] = (200, json.dumps({"ecu": "untouched"}).encode())
    assert main(["jobs"]) == Exit.DONE
    assert "Whether a write is open cannot be told" in capsys.readouterr().err


def test_a_stream_that_breaks_behind_its_snapshot_is_taken_up_where_it_was(engine: FakeEngine) -> None:
    """The snapshot has the number of the newest event; what lies between is still to be told."""
    engine.states = [operation(), operation(), operation("done", result=READ_RESULT)]
    engine.streams = [[snapshot(operation()) | {"seq": 40}], [snapshot(operation())]]
    assert main(["read"]) == Exit.DONE
    assert engine.followed == ["/v1/events?after=0&follow=1"] * 2
