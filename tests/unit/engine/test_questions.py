"""The person as the engine knows one: the first answer that fits counts, and a deadline is kept."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import get_args

import pytest

from appliance.contract.entry_events import QuestionEvent, QuestionState
from appliance.contract.errors import PitboxError
from appliance.definitions.person_steps import Ask
from appliance.engine.questions import QuestionDesk, answer_in
from appliance.engine.worker import Worker
from appliance.ports.settings import SimulationSettings
from appliance.ports.simulated import loop_factory, pass_time
from drivers.person.interface import Answer, Answerer, Question, UnansweredError
from simulator.virtualtime import run_virtual
from tests.support.engine import five_answers, place, running

STRAP = Question("strap", "Is the strap connected?", 60.0, ("done", "stop"), {"pad": "7"}, "job-1")


def at_desk(test: Callable[[QuestionDesk, list[QuestionEvent]], Awaitable[None]]) -> None:
    async def inside() -> None:
        loop = asyncio.get_running_loop()

        def later(seconds: float, action: Callable[[], None]) -> Callable[[], None]:
            return loop.call_later(seconds, action).cancel

        desk, told = QuestionDesk(lambda: 1000.0, later), list[QuestionEvent]()
        desk.tell = told.append
        await test(desk, told)

    run_virtual(inside())


def refused(desk: QuestionDesk, question: str, value: str) -> PitboxError:
    with pytest.raises(PitboxError) as error:
        desk.answer(question, value, "Kim", at_the_box=True)
    return error.value


def test_a_question_is_open_until_it_is_answered_and_says_by_whom() -> None:
    async def test(desk: QuestionDesk, told: list[QuestionEvent]) -> None:
        asking = asyncio.ensure_future(desk.ask(STRAP))
        await asyncio.sleep(5)
        (one,) = desk.questions()
        assert json.loads(json.dumps(one.as_dict())) == {
            "kind": "question",
            "job_id": "job-1",
            "id": one.id,
            "key": "strap",
            "text": "Is the strap connected?",
            "choices": ["done", "stop"],
            "asked_at": 1000.0,
            "deadline_s": 60.0,
            "state": "open",
            "answer": None,
            "by": None,
            "answered_at": None,
            "who": "at_the_box",
            "fields": {"pad": "7"},
        }
        now = desk.answer(one.id, "done", "Kim", at_the_box=True)
        assert (now.state, now.answer, now.by, now.answered_at) == ("answered", "done", "Kim", 1000.0)
        assert await asking == Answer("done", "Kim", 1000.0)
        assert not desk.questions() and told == [one, now]
        again = refused(desk, one.id, "stop")
        assert again.code == "QUESTION_CLOSED" and "Kim has answered it already: done" in again.what

    at_desk(test)


def test_an_answer_that_does_not_fit_leaves_the_question_open() -> None:
    async def test(desk: QuestionDesk, told: list[QuestionEvent]) -> None:
        asking = asyncio.ensure_future(desk.ask(STRAP))
        await asyncio.sleep(5)
        (one,) = desk.questions()
        error = refused(desk, one.id, "maybe")
        assert error.code == "ANSWER_INVALID" and "done, stop" in error.do_now
        assert desk.questions() == [one]
        desk.answer(one.id, "stop", "Kim", at_the_box=True)
        assert (await asking).value == "stop"

    at_desk(test)


@pytest.mark.parametrize("who", Answerer)
def test_what_concerns_wires_and_supply_is_answered_beside_the_box(who: Answerer) -> None:
    async def test(desk: QuestionDesk, told: list[QuestionEvent]) -> None:
        asking = asyncio.ensure_future(desk.ask(replace(STRAP, who=who)))
        await asyncio.sleep(5)
        (one,) = desk.questions()
        assert one.who == who
        if who is Answerer.AT_THE_BOX:
            with pytest.raises(PitboxError) as error:
                desk.answer(one.id, "done", "somebody", at_the_box=False)
            assert error.value.code == "ANSWER_AT_THE_BOX"
            assert desk.questions() == [one] and not asking.done()
        desk.answer(one.id, "done", "Kim", at_the_box=who is Answerer.AT_THE_BOX)
        assert (await asking).by == "Kim"

    at_desk(test)


def test_without_a_word_a_question_is_for_somebody_beside_the_box() -> None:
    assert STRAP.who is Answerer.AT_THE_BOX
    assert Ask.model_fields["who"].default == Answerer.AT_THE_BOX
    assert set(get_args(Ask.model_fields["who"].annotation)) == set(Answerer)


def test_at_its_deadline_it_is_over_and_a_late_answer_is_told_so() -> None:
    async def test(desk: QuestionDesk, told: list[QuestionEvent]) -> None:
        asking = asyncio.ensure_future(desk.ask(STRAP))
        await asyncio.sleep(59)
        (one,) = desk.questions()
        with pytest.raises(UnansweredError, match="within 60 s"):
            await asking
        assert asyncio.get_running_loop().time() == 60
        assert [event.state for event in told] == [QuestionState.OPEN, QuestionState.EXPIRED]
        error = refused(desk, one.id, "done")
        assert error.code == "QUESTION_CLOSED" and "nobody answered it within 60 s" in error.what

    at_desk(test)


def test_what_asked_is_over_and_so_is_its_question() -> None:
    async def test(desk: QuestionDesk, told: list[QuestionEvent]) -> None:
        asking = asyncio.ensure_future(desk.ask(STRAP))
        await asyncio.sleep(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert [event.state for event in told] == [QuestionState.OPEN, QuestionState.WITHDRAWN]
        assert "is over" in refused(desk, told[0].id, "done").what
        await asyncio.sleep(100)
        assert len(told) == 2

    at_desk(test)


def test_an_unknown_question_is_told() -> None:
    async def test(desk: QuestionDesk, told: list[QuestionEvent]) -> None:
        assert refused(desk, "nowhere", "done").code == "QUESTION_UNKNOWN"

    at_desk(test)


@pytest.mark.parametrize("sent", [{}, {"answer": 1}, {"answer": "x" * 501}, {"answer": "a", "who": "b"}])
def test_a_body_that_is_no_answer_is_refused(sent: dict[str, object]) -> None:
    with pytest.raises(PitboxError) as error:
        answer_in(sent)
    assert error.value.code == "PARAMETERS_INVALID" and error.value.details


def test_simulated_time_stands_still_while_a_real_person_thinks() -> None:
    """On a virtual clock the deadline would come at once, and nobody could ever answer."""
    worker = Worker(loop_factory(SimulationSettings("any")), pass_time)
    desk, opened = QuestionDesk(), threading.Event()
    desk.standing_still = worker.time_standing_still
    desk.tell = lambda event: opened.set()

    async def work() -> tuple[Answer, float]:
        with worker.time_passing():
            await asyncio.sleep(7)
            answer = await desk.ask(STRAP)
            await asyncio.sleep(1)
            return answer, asyncio.get_running_loop().time()

    async def person() -> None:
        (one,) = await worker.call(desk.questions)
        await worker.call(lambda: desk.answer(one.id, "done", "Kim", at_the_box=True))

    working = worker.submit(work())
    assert opened.wait(60)
    asyncio.run(person())
    answer, seconds = working.result(60)
    worker.stop()
    assert (answer.value, seconds) == ("done", 8.0)


def test_the_engine_serves_its_questions() -> None:
    with place() as folder, running(folder) as engine:
        assert engine.ask("GET", "/v1/questions") == (200, [])
        assert engine.ask("GET", "/v1/snapshot")[1]["questions"] == []
        status, told = engine.ask("POST", "/v1/questions/abc", {"answer": "done"})
        assert (status, told["code"]) == (404, "QUESTION_UNKNOWN")
        five_answers(told)
        status, told = engine.ask("POST", "/v1/questions/abc", {"reply": "done"})
        assert (status, told["code"]) == (400, "PARAMETERS_INVALID")
