"""The steps that concern the link, its bit rate, and the person at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from appliance.definitions.entry_step import Words
from appliance.definitions.fields import HexBytes
from appliance.definitions.person_steps import Choice, QuestionKey
from appliance.definitions.step_kinds import Step

FIXED_RATES = {125_000: 0x10, 250_000: 0x11, 500_000: 0x12, 1_000_000: 0x13}
"""Bit rates of CAN that have a number of their own (ISO 14229-1, annex B.3: linkControlModeIdentifier)."""


class Ask(Step):
    """Ask the person, once in each opening; an answer that is not in `go_on_with` ends the operation."""

    verb: Literal["ask"]
    """Which step it is."""
    question: QuestionKey
    """Key of the text, for screens that translate it."""
    text: Words
    """What the person is asked."""
    choices: tuple[Choice, ...] = Field(default=("done", "stop"), min_length=2, max_length=16)
    """What may be answered."""
    go_on_with: tuple[Choice, ...] = Field(default=("done",), min_length=1)
    """Answers that go on."""
    who: Literal["at_the_box", "anybody"] = "at_the_box"
    """Whose answer counts: of somebody beside the box, or of anybody also over the web."""
    deadline_s: float = Field(ge=5, le=600)
    """Unanswered so long, the operation ends."""

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return self.deadline_s

    def in_words(self) -> str:
        """In words."""
        return f"ask {self.question}: {self.text} ({' or '.join(self.go_on_with)} goes on)"

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """Choices that are the same, or of which none stops."""
        del known
        if len(set(self.choices)) != len(self.choices):
            yield "two choices are the same"
        if strange := set(self.go_on_with) - set(self.choices):
            yield f"go_on_with names no choice: {', '.join(sorted(strange))}"
        if set(self.go_on_with) >= set(self.choices):
            yield "every choice goes on: one must stop"


class Reconnect(Step):
    """Close the link, wait, open it again, and see that the same ECU answers."""

    verb: Literal["reconnect"]
    """Which step it is."""
    same: HexBytes = Field(min_length=4, max_length=6)
    """A request that the ECU answers alike before the list is begun and afterwards, and no other ECU does."""
    wait_s: float = Field(ge=0, le=60)
    """How long nothing is sent."""
    within_s: float = Field(default=5.0, ge=0.5, le=60)
    """How long the ECU may take after that until it answers."""

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return self.wait_s + self.within_s

    def in_words(self) -> str:
        """In words."""
        return (
            f"leave the link for {self.wait_s:g} s; within {self.within_s:g} s more the ECU answers "
            f"{self.same} as it did before"
        )

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """Only what changes nothing."""
        del known
        if (int(self.same[:2], 16), len(self.same)) not in {(0x22, 6), (0x1A, 4)}:
            yield "same is 22 with an identifier of two bytes, or 1A with one of one byte"


class Rate(Step):
    """Have the ECU change the bus to another bit rate for the rest of its session, and go with it (87).

    The ECU is asked whether it would (01 or 02) before it is told to (03). Both go back to the rate of `bus`
    with the end of the session: by its default session, by a reset, or because the ECU has heard nothing for
    so long. The box must have an interface that changes its rate while it is open. Over a K-line a session's
    own key says it.
    """

    verb: Literal["rate"]
    """Which step it is."""
    to_bps: int = Field(ge=9_600, le=1_000_000)
    """The other bit rate."""
    form: Literal["fixed", "specific"] = "fixed"
    """How it is told: by its number (87 01), or in three bytes (87 02)."""
    within_s: float = Field(default=1.0, ge=0.1, le=10)
    """How long the ECU may take until it answers at the new rate."""

    @property
    def longest_s(self) -> float:
        """Until it answers."""
        return self.within_s

    def in_words(self) -> str:
        """In words."""
        how = f"number 0x{FIXED_RATES.get(self.to_bps, 0):02X}" if self.form == "fixed" else "told in full"
        rate = f"change to {self.to_bps / 1000:g} kbit/s ({how})"
        return f"{rate}; the ECU answers there within {self.within_s:g} s"

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """Only a few rates have a number."""
        del known
        if self.form == "fixed" and self.to_bps not in FIXED_RATES:
            rates = ", ".join(map(str, FIXED_RATES))
            yield f"to_bps has no number of its own, as {rates} have: set form = 'specific'"
