"""What happens while a controller is brought to where it can be talked to, and what a person is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from appliance.contract.catalogue import Field, Phrase
from appliance.contract.events import Event


class EntryOutcome(StrEnum):
    """What became of a step of an entry, or of the whole of it."""

    BEGUN = "begun"
    """The step is about to be done: durable before a line moves."""
    DONE = "done"
    FAILED = "failed"
    ENTERED = "entered"
    """Every step is done: the controller is where the access needs it."""
    SAFE = "safe"
    """It is over: no pin is driven, and the supply is off or as the access wants it left."""
    UNSAFE = "unsafe"
    """It is over, and a line did not go back to its safe state."""
    CUT = "cut"
    """The box stopped in the middle of it, as its next start found."""


OVER = frozenset({EntryOutcome.SAFE, EntryOutcome.UNSAFE, EntryOutcome.CUT})
"""Outcomes behind which nothing of an entry is left to be told."""


@dataclass(frozen=True, slots=True)
class EntryEvent(Event):
    """A step of an access's entry, or of its ending."""

    access: str
    outcome: EntryOutcome
    what: str
    """The step in English, or what was found; the reason where it failed."""
    step: int | None = None
    """Which of the entry's steps, from 1; None for the ending and for the whole."""
    key: str = ""
    """Of `what`, with its fields, for screens that translate."""
    fields: dict[str, Field] = field(default_factory=dict)


def entry_event(
    job_id: str | None, access: str, outcome: EntryOutcome, said: Phrase, step: int | None = None
) -> EntryEvent:
    """The event for what is said of an entry or of one of its steps."""
    return EntryEvent(job_id, access, outcome, said.text, step, said.key, said.fields)


class QuestionState(StrEnum):
    """How a question stands."""

    OPEN = "open"
    ANSWERED = "answered"
    EXPIRED = "expired"
    """Nobody answered in time."""
    WITHDRAWN = "withdrawn"
    """What asked it is over."""


@dataclass(frozen=True, slots=True)
class QuestionEvent(Event):
    """A question to the person at the box: any client may show it and answer it."""

    id: str
    key: str
    """Of the text, for screens that translate it."""
    text: str
    choices: tuple[str, ...]
    """Empty where any text is an answer."""
    asked_at: float
    """Seconds since 1970, as `answered_at`."""
    deadline_s: float
    """From when it was asked."""
    state: QuestionState = QuestionState.OPEN
    answer: str | None = None
    by: str | None = None
    answered_at: float | None = None
    who: str = "at_the_box"
    """Whose answer counts: `at_the_box` or `anybody`."""
    fields: dict[str, str] = field(default_factory=dict)
