"""A person who answers by script: at once, late, wrong, or never."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drivers.person.interface import Answer, Question, UnansweredError


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said to a question, so many seconds after the reply before it."""

    value: str
    after_s: float = 2.0


class SimulatedPerson:
    """`script` has the replies by the question's key; a question that is not in it is never answered.

    A reply that the question does not take is refused, as a screen would, and the next one is waited for.
    """

    def __init__(self, script: Mapping[str, Sequence[Reply]], name: str = "a simulated person") -> None:
        self._script = script
        self._name = name
        self.asked: list[Question] = []
        self.refused: list[str] = []

    async def ask(self, question: Question) -> Answer:
        """Raises UnansweredError."""
        self.asked.append(question)
        try:
            async with asyncio.timeout(question.deadline_s):
                return await self._reply(question)
        except TimeoutError as error:
            raise UnansweredError(f"nobody answered within {question.deadline_s:g} s") from error

    async def _reply(self, question: Question) -> Answer:
        for reply in self._script.get(question.key, ()):
            await asyncio.sleep(reply.after_s)
            if question.takes(reply.value):
                return Answer(reply.value, self._name, asyncio.get_running_loop().time())
            self.refused.append(reply.value)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")
