"""A whole engine with its ECU on the bench: asked over the socket, answered from another client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.definitions.loader import PACKS
from tests.support.engine import HANG_S, Engine, five_answers, kill, place, running

ENTRY = """
[[access.entry.steps]]
verb = "ask"
question = "on_the_bench"
text = "Is the ECU on the bench?"
deadline_s = 600
[[access.entry.steps]]
verb = "supply_on"
min_v = 11.5
max_v = 14.5
[[access.entry.steps]]
verb = "ignition_on"
min_v = 11.5
max_v = 14.5
min_a = 0.2
[[access.entry.steps]]
verb = "wait"
seconds = 1
[[access.entry.ending]]
verb = "supply_off"
"""
NAME = "pbx-on-bench"


@pytest.fixture
def root() -> Iterator[Path]:
    with place() as folder:
        text = (PACKS / "pbx-x050.toml").read_text("utf-8").replace('id = "pbx-x050"', f'id = "{NAME}"')
        (folder / "own").mkdir()
        own = text.replace("[access.recognition]", f"{ENTRY}\n[access.recognition]", 1)
        (folder / "own" / f"{NAME}.toml").write_text(own, "utf-8")
        yield folder


def on_bench(root: Path) -> tuple[str, ...]:
    return ("--bench", "--definitions", str(root / "own"))


def question_of(engine: Engine) -> dict[str, Any]:
    """The question as the live stream tells it."""
    with engine.events() as events:
        for event in events:
            opened = event.get("questions", []) if event["kind"] == "snapshot" else [event]
            for one in opened:
                if one["kind"] == "question" and one["state"] == "open":
                    return one
    raise AssertionError("the stream ended without a question")


def entries(engine: Engine) -> list[dict[str, Any]]:
    """What the journal tells of every entry."""
    found, after = [], 0
    while True:
        _, page = engine.ask("GET", f"/v1/events?after={after}")
        found += [event for event in page["events"] if event["kind"] == "entry"]
        after = page["last"]
        if not page["more"]:
            return found


def test_a_question_waits_for_another_client_and_the_journal_tells_who_answered(root: Path) -> None:
    with running(root, *on_bench(root), pack=NAME) as engine:
        operation = engine.begin("identify", definition=NAME)
        question = question_of(engine)
        assert (question["key"], question["choices"]) == ("on_the_bench", ["done", "stop"])
        status, told = engine.ask("POST", f"/v1/questions/{question['id']}", {"answer": "perhaps"})
        assert (status, five_answers(told)["code"]) == (400, "ANSWER_INVALID")
        command = [sys.executable, "-m", "appliance.cli.main", "--socket", str(engine.socket)]
        done = subprocess.run(
            [*command, "answer", "done", "--by", "Kim"],
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
        assert (done.returncode, "Answered: done" in done.stdout) == (0, True), done.stderr
        ended = engine.end(operation)
        assert ended["state"] == "done", ended["error"]
        assert ended["result"]["definition"] == NAME
        told_of = [(event["outcome"], event["what"]) for event in entries(engine)]
        assert (
            told_of[1][0] == "done" and told_of[1][1].startswith("Kim (") and "answered done" in told_of[1][1]
        )
        assert told_of[-1] == ("safe", "pins released, supply off")
        status, told = engine.ask("POST", f"/v1/questions/{question['id']}", {"answer": "done"})
        assert (status, five_answers(told)["code"]) == (409, "QUESTION_CLOSED")


@pytest.mark.parametrize("who", ["at_the_box", "anybody"])
def test_the_web_answers_only_what_its_question_leaves_to_anybody(root: Path, who: str) -> None:
    path = root / "own" / f"{NAME}.toml"
    path.write_text(
        path.read_text("utf-8").replace("deadline_s = 600", f'deadline_s = 600\nwho = "{who}"', 1)
    )
    with running(root, *on_bench(root), "--web-uid", str(os.getuid()), pack=NAME) as engine:
        operation = engine.begin("identify", definition=NAME)
        question = question_of(engine)
        assert question["who"] == who
        status, told = engine.ask("POST", f"/v1/questions/{question['id']}", {"answer": "done"})
        if who == "anybody":
            assert (status, engine.end(operation)["state"]) == (200, "done")
            return
        assert (status, five_answers(told)["code"]) == (403, "ANSWER_AT_THE_BOX")
        assert [one["id"] for one in engine.ask("GET", "/v1/questions")[1]] == [question["id"]]
        assert engine.ask("POST", f"/v1/operations/{operation}/cancel")[0] == 200


def test_an_engine_killed_while_it_asks_tells_at_its_next_start_that_the_entry_was_cut(root: Path) -> None:
    with running(root, *on_bench(root), pack=NAME) as engine:
        engine.begin("identify", definition=NAME)
        question_of(engine)
        kill(engine)
        engine.start()
        assert engine.ask("GET", "/v1/questions") == (200, [])
        last = entries(engine)[-1]
        assert (last["outcome"], last["what"]) == (
            "cut",
            "the box stopped in it, behind: ask on_the_bench: Is the ECU on the bench?; "
            "its lines are let go at its start",
        )


def test_a_cancelled_operation_takes_its_question_with_it(root: Path) -> None:
    with running(root, *on_bench(root), pack=NAME) as engine:
        operation = engine.begin("identify", definition=NAME)
        question_of(engine)
        assert engine.ask("POST", f"/v1/operations/{operation}/cancel")[0] == 200
        assert engine.end(operation)["state"] == "cancelled"
        assert engine.ask("GET", "/v1/questions") == (200, [])
        assert entries(engine)[-1]["outcome"] == "safe"
