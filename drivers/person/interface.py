"""What a person can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

LONGEST_ANSWER = 500
"""Signs of a free text."""


class Answerer(StrEnum):
    """Whose answer counts."""

    AT_THE_BOX = "at_the_box"
    """Somebody who stands beside it: what is asked concerns wires, or the supply of an ECU."""
    ANYBODY = "anybody"
    """Also somebody elsewhere, over the network."""


class UnansweredError(TimeoutError):
    """Nobody answered in time."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text in plain words, with its key and fields for screens that translate it."""

    key: str
    text: str
    deadline_s: float
    """How long an answer is waited for, from when it is asked."""
    choices: tuple[str, ...] = ()
    """Any other answer is refused; without choices any text is taken that is not blank."""
    fields: Mapping[str, str] = field(default_factory=dict)
    about: str | None = None
    """Id of the job it is asked for."""
    who: Answerer = Answerer.AT_THE_BOX
    """Whose answer counts; without a word only that of somebody who sees wires and supply."""

    def takes(self, value: str) -> bool:
        """Whether this can be an answer."""
        if self.choices:
            return value in self.choices
        return bool(value.strip()) and len(value) <= LONGEST_ANSWER


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, by whom, and when (seconds since 1970)."""

    value: str
    by: str
    at: float


class Person(Protocol):
    """Somebody who can be asked."""

    async def ask(self, question: Question) -> Answer:
        """Wait for an answer that the question takes. Raises UnansweredError at its deadline."""
