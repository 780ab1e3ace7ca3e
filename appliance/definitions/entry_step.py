"""What every step of an entry choreography has: its words, its longest time, and advice."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from appliance.contract.catalogue import Phrase
from appliance.definitions.fields import Strict

Words = Annotated[str, Field(min_length=1, max_length=500)]


class Step(Strict):
    """Base of every step."""

    advice: Words | None = None
    """What a person should do when this step fails; told in place of the general advice."""

    @property
    def told(self) -> Phrase:
        """In words, as journal and `definitions explain` say it."""
        raise NotImplementedError

    @property
    def longest_s(self) -> float:
        """Longest that it may take, but for the time a person has."""
        return 0.0
