"""Questions of the engine: shown while an operation waits, answered at the terminal or from elsewhere."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.cli.client import EngineClient
from appliance.cli.exits import Exit
from appliance.cli.main import main
from appliance.cli.operation_client import perform
from appliance.cli.screen import Screen
from tests.unit.cli.fake_engine import JOB, FakeEngine, operation, snapshot

QUESTION: dict[str, Any] = {
    "kind": "question",
    "job_id": JOB["id"],
    "id": "q-1",
    "key": "strap",
    "text": "Is the strap connected?",
    "choices": ["done", "stop"],
    "asked_at": 1000.0,
    "deadline_s": 60.0,
    "state": "open",
    "answer": None,
    "by": None,
    "answered_at": None,
    "fields": {},
}
ANSWERED = QUESTION | {"state": "answered", "answer": "done", "by": "Kim"}
RUNNING = snapshot(operation())


def told(document: Any, status: int = 200) -> tuple[int, bytes]:
    return status, json.dumps(document).encode()


def refusal(code: str) -> dict[str, Any]:
    return {
        "code": code,
        "what": "it was refused",
        "ecu": "untouched",
        "do_now": "x",
        "log": None,
        "details": [],
    }


@pytest.fixture
def asking(engine: FakeEngine) -> FakeEngine:
    engine.answers = {"/v1/questions": told([QUESTION]), "/v1/questions/q-1": told(ANSWERED)}
    return engine


def answers(engine: FakeEngine) -> list[Any]:
    return [body for path, body in engine.asked if path.startswith("POST /v1/questions")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def keyboard() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """What a technician types into, and a terminal that reads it."""
    theirs, ours = os.openpty()
    with os.fdopen(ours, "r", encoding="utf-8") as reader:
        yield theirs, reader
    os.close(theirs)


def test_without_an_answer_the_open_questions_are_shown(
    asking: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["answer"]) == Exit.DONE
    shown = capsys.readouterr().out
    assert "? Is the strap connected?" in shown
    assert "`pitbox answer --question q-1 done | stop` answers it" in shown
    asking.answers["/v1/questions"] = told([])
    assert main(["answer"]) == Exit.DONE
    assert "Nothing is asked." in capsys.readouterr().out


def test_the_only_open_question_is_meant(asking: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["answer", "done", "--by", "Kim"]) == Exit.DONE
    assert answers(asking) == [{"answer": "done", "by": "Kim"}]
    assert "Answered: done" in capsys.readouterr().out


@pytest.mark.parametrize(("count", "word"), [(0, "no questions"), (2, "2 questions")])
def test_which_question_must_be_clear(
    asking: FakeEngine, capsys: pytest.CaptureFixture[str], count: int, word: str
) -> None:
    asking.answers["/v1/questions"] = told([QUESTION] * count)
    assert main(["answer", "done"]) == Exit.REFUSED
    assert word in capsys.readouterr().err
    assert not answers(asking)
    assert main(["answer", "done", "--question", "q-1"]) == Exit.DONE
    assert answers(asking) == [{"answer": "done"}]


@pytest.mark.parametrize("stream", [[RUNNING, QUESTION], [RUNNING | {"questions": [QUESTION]}, QUESTION]])
def test_while_an_operation_waits_the_question_is_shown_once(
    asking: FakeEngine, capsys: pytest.CaptureFixture[str], stream: list[dict[str, Any]]
) -> None:
    asking.states = [operation(), operation("cancelled")]
    asking.streams = [stream]
    assert main(["dtc", "--quiet"]) == Exit.LEFT
    assert capsys.readouterr().err.count("? Is the strap connected?") == 1
    assert not answers(asking), "nobody is at a terminal"


def follow(engine: FakeEngine, reader: io.TextIOWrapper) -> str:
    """Follow an operation that asks, at a terminal; what is shown there."""
    engine.states = [operation(), operation("done", result={})]
    engine.streams = [[RUNNING, QUESTION]]
    err = Terminal()
    screen = Screen(out=io.StringIO(), err=err, keyboard=reader)
    perform(EngineClient(engine.socket), screen, "read", dict)
    return err.getvalue()


def test_at_a_terminal_it_is_answered_there(
    asking: FakeEngine, keyboard: tuple[int, io.TextIOWrapper]
) -> None:
    os.write(keyboard[0], b"\n done \n")
    assert "done/stop: " in follow(asking, keyboard[1])
    assert answers(asking) == [{"answer": "done"}]


def test_a_wrong_answer_at_the_terminal_is_told_and_asked_again(
    asking: FakeEngine, keyboard: tuple[int, io.TextIOWrapper]
) -> None:
    asking.answers["/v1/questions/q-1"] = told(refusal("ANSWER_INVALID"), 400)
    os.write(keyboard[0], b"maybe\nstop\n\x04")
    shown = follow(asking, keyboard[1])
    assert [given["answer"] for given in answers(asking)] == ["maybe", "stop"]
    assert shown.count("it was refused") == 2


def test_a_question_that_somebody_else_answered_is_left(
    asking: FakeEngine, keyboard: tuple[int, io.TextIOWrapper]
) -> None:
    asking.answers["/v1/questions"] = told([])
    follow(asking, keyboard[1])
    assert not answers(asking)


def test_an_answer_that_comes_too_late_is_told(
    asking: FakeEngine, keyboard: tuple[int, io.TextIOWrapper]
) -> None:
    asking.answers["/v1/questions/q-1"] = told(refusal("QUESTION_CLOSED"), 409)
    os.write(keyboard[0], b"done\n")
    assert "it was refused" in follow(asking, keyboard[1])
    assert len(answers(asking)) == 1
