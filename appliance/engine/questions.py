"""The person as the engine knows one: questions are open items, and any client may answer them."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliance.contract.entry_events import QuestionEvent, QuestionState
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.phrases import phrase
from appliance.engine.misfits import misfits
from drivers.person.interface import LONGEST_ANSWER, Answer, Answerer, Question, UnansweredError

_KEPT = 50
"""Questions that are over, so that a late answer is told what became of its question."""

Later = Callable[[float, Callable[[], None]], Callable[[], None]]
"""Has something done after so many seconds; gives what keeps it from being done."""


def by_the_wall(seconds: float, action: Callable[[], None]) -> Callable[[], None]:
    """In the running loop's thread, after seconds of the wall: a person's time is nobody else's."""
    loop = asyncio.get_running_loop()
    timer = threading.Timer(seconds, lambda: loop.call_soon_threadsafe(action))
    timer.daemon = True
    timer.start()
    return timer.cancel


class AnswerGiven(BaseModel):
    """What a client sends as the answer to a question."""

    model_config = ConfigDict(extra="forbid")

    answer: str = Field(max_length=LONGEST_ANSWER)
    by: str | None = Field(default=None, min_length=1, max_length=100)


def answer_in(sent: dict[str, Any]) -> AnswerGiven:
    """Raises PitboxError PARAMETERS_INVALID."""
    try:
        return AnswerGiven.model_validate(sent)
    except ValidationError as error:
        raise EngineError("PARAMETERS_INVALID.answer", points=misfits(error)) from error


@dataclass
class _Open:
    asked: Question
    event: QuestionEvent
    answered: asyncio.Future[Answer]


class QuestionDesk:
    """A person port. Everything but its making belongs to the worker's thread."""

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        later: Later = by_the_wall,
    ) -> None:
        self.tell: Callable[[QuestionEvent], None] = lambda event: None
        """Hears of every question that is opened or closed."""
        self.standing_still: Callable[[], AbstractContextManager[None]] = nullcontext
        """Stops simulated time while a real person thinks."""
        self._now = now
        self._later = later
        self._open: dict[str, _Open] = {}
        self._over: OrderedDict[str, QuestionEvent] = OrderedDict()

    def questions(self) -> list[QuestionEvent]:
        """Those that wait for an answer, oldest first."""
        return [one.event for one in self._open.values()]

    async def ask(self, question: Question) -> Answer:
        """Open a question and wait for its answer. Raises UnansweredError at its deadline."""
        one = self._opened(question)
        cancel = self._later(question.deadline_s, lambda: self._expire(one))
        try:
            self.tell(one.event)
            with self.standing_still():
                return await one.answered
        finally:
            cancel()
            self._close(one, QuestionState.WITHDRAWN)

    def answer(self, question_id: str, value: str, by: str, *, at_the_box: bool) -> QuestionEvent:
        """Answer an open question; as it stands now.

        `at_the_box` says whether whoever answers stands beside it. Raises PitboxError.
        """
        one = self._open.get(question_id)
        if one is None:
            raise self._closed(question_id)
        if one.asked.who is Answerer.AT_THE_BOX and not at_the_box:
            raise EngineError("ANSWER_AT_THE_BOX", author_text=one.asked.text)
        if not one.asked.takes(value):
            choices = tuple(one.asked.choices) or phrase("question.any_text", most=LONGEST_ANSWER)
            raise EngineError("ANSWER_INVALID", given=value[:64], author_text=one.asked.text, choices=choices)
        answer = Answer(value, by, self._now())
        one.answered.set_result(answer)
        self._close(one, QuestionState.ANSWERED, answer)
        return self._over[question_id]

    def _opened(self, question: Question) -> _Open:
        event = QuestionEvent(
            question.about,
            uuid.uuid4().hex[:12],
            question.key,
            question.text,
            question.choices,
            self._now(),
            question.deadline_s,
            who=question.who.value,
            fields=dict(question.fields),
        )
        one = _Open(question, event, asyncio.get_running_loop().create_future())
        self._open[event.id] = one
        return one

    def _expire(self, one: _Open) -> None:
        if not one.answered.done():
            one.answered.set_exception(UnansweredError(f"nobody answered within {one.asked.deadline_s:g} s"))
            self._close(one, QuestionState.EXPIRED)

    def _close(self, one: _Open, state: QuestionState, answer: Answer | None = None) -> None:
        """Once: the first end counts. Whoever comes later finds what became of it."""
        if self._open.pop(one.event.id, None) is None:
            return
        event = replace(one.event, state=state)
        if answer is not None:
            event = replace(event, answer=answer.value, by=answer.by, answered_at=answer.at)
        self._over[event.id] = event
        while len(self._over) > _KEPT:
            self._over.popitem(last=False)
        self.tell(event)

    def _closed(self, question_id: str) -> PitboxError:
        over = self._over.get(question_id)
        if over is None:
            return EngineError("QUESTION_UNKNOWN", question=question_id)
        became = phrase("question.withdrawn")
        if over.state is QuestionState.ANSWERED:
            became = phrase("question.answered", person_text=over.by or "", answer=over.answer or "")
        if over.state is QuestionState.EXPIRED:
            became = phrase("question.expired", deadline_s=over.deadline_s)
        return EngineError("QUESTION_CLOSED", why=became)
