"""Steps of an entry choreography that wait: for the controller, or for a person and their answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.definitions.entry_step import Step, Words
from appliance.definitions.fields import refuse

QuestionKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]
Choice = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Wait(Step):
    """Let the controller settle."""

    verb: Literal["wait"]
    """Which step it is."""
    seconds: float = Field(gt=0, le=60)
    """How long."""

    @property
    def told(self) -> Phrase:
        """In words."""
        return phrase("step.wait", seconds=self.seconds)

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return self.seconds


class Ask(Step):
    """Ask the person; only an answer of `go_on_with` goes on. Without choices it is a confirmation."""

    verb: Literal["ask"]
    """Which step it is."""
    question: QuestionKey
    """Key of the text, for screens that translate it."""
    text: Words
    """What the person is asked."""
    choices: tuple[Choice, ...] = Field(default=("done", "stop"), min_length=2, max_length=16)
    """What may be answered."""
    go_on_with: tuple[Choice, ...] = Field(default=("done",), min_length=1)
    """Answers that go on; every other one ends the entry."""
    who: Literal["at_the_box", "anybody"] = "at_the_box"
    """Whose answer counts: of somebody beside the box, who sees wires and supply, or of anybody also over the
    web."""
    deadline_s: float = Field(ge=5, le=1_800)
    """Unanswered so long, the entry ends and every line goes back to its safe state."""

    @property
    def told(self) -> Phrase:
        """In words."""
        return phrase("step.ask", question=self.question, author_text=self.text)

    @model_validator(mode="after")
    def _consistent(self) -> Ask:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if len(set(self.choices)) != len(self.choices):
            yield "two choices are the same"
        if strange := set(self.go_on_with) - set(self.choices):
            yield f"go_on_with names no choice: {', '.join(sorted(strange))}"
        if set(self.go_on_with) >= set(self.choices):
            yield "every choice goes on: one must stop"


class ConnectWires(Step):
    """Ask the person for each wire of the access's wiring, one question after the other."""

    verb: Literal["connect_wires"]
    """Which step it is."""
    deadline_s: float = Field(default=600.0, ge=5, le=1_800)
    """For each wire; unanswered so long, the entry ends."""

    @property
    def told(self) -> Phrase:
        """In words."""
        return phrase("step.connect_wires")
