"""Steps of an entry choreography that drive a line of the pin connector, or read it back."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.definitions.entry_step import Step

PinName = Literal["boot_1", "boot_2", "boot_3", "boot_4", "reset"]
"""The lines of the box's pin connector: boot straps, and the controller's reset."""
PIN_NAMES: frozenset[str] = frozenset(get_args(PinName))
Level = Literal["low", "high"]


class SetPin(Step):
    """Drive a pin and read it back: a level that does not follow ends the entry."""

    verb: Literal["set_pin"]
    """Which step it is."""
    pin: PinName
    """Which line."""
    level: Level
    """To which level."""

    @property
    def told(self) -> Phrase:
        """In words."""
        return phrase("step.set_pin", pin=self.pin, level=self.level)


class PulsePin(Step):
    """Drive a pin to a level `times` times for `width_ms`, with as long at the other level between them.

    It is left at the other level; nothing is recorded between the pulses, so that their widths hold.
    """

    verb: Literal["pulse_pin"]
    """Which step it is."""
    pin: PinName
    """Which line."""
    level: Level
    """To which level."""
    width_ms: float = Field(ge=0.1, le=2_000)
    """Length of a pulse."""
    times: int = Field(default=1, ge=1, le=64)
    """How many."""

    @property
    def told(self) -> Phrase:
        """In words."""
        return phrase(
            "step.pulse_pin", pin=self.pin, times=self.times, level=self.level, width_ms=self.width_ms
        )

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return (2 * self.times - 1) * self.width_ms / 1000


class ReleasePin(Step):
    """Let a pin go: an input, at the level that the controller gives it."""

    verb: Literal["release_pin"]
    """Which step it is."""
    pin: PinName
    """Which line."""

    @property
    def told(self) -> Phrase:
        """In words."""
        return phrase("step.release_pin", pin=self.pin)


class CheckPin(Step):
    """Read a line back: a released one has the controller's own level, and an open wire has not."""

    verb: Literal["check_pin"]
    """Which step it is."""
    pin: PinName
    """Which line."""
    level: Level
    """Which level it must have."""
    within_s: float = Field(default=0.2, ge=0, le=10)
    """How long it may take to have it."""

    @property
    def told(self) -> Phrase:
        """In words."""
        return phrase("step.check_pin", pin=self.pin, level=self.level)

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return self.within_s
