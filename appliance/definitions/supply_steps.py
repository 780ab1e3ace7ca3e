"""Steps of an entry choreography that switch the bench supply, and check what comes out of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.definitions.entry_step import Step
from appliance.definitions.fields import refuse


class _Output(Step):
    """An output of the bench supply that is switched on, and what must be measured then."""

    _name: ClassVar[str]

    min_v: float = Field(ge=0, le=32)
    """Least that must be measured."""
    max_v: float = Field(ge=0, le=32)
    """Most that may be measured."""
    min_a: float | None = Field(default=None, ge=0, le=20)
    """Less is a wire that is open or in the wrong place. Checked where the supply measures current."""
    max_a: float | None = Field(default=None, gt=0, le=20)
    """More is a short or a wrong wire. Checked where the supply measures current."""
    within_s: float = Field(default=2.0, gt=0, le=30)
    """How long the output may take to come to rest inside the window."""

    @property
    def told(self) -> Phrase:
        """The output, its window and its current."""
        window = phrase("step.window", min_v=self.min_v, max_v=self.max_v)
        return phrase("step.output_on", output=self._name, window=window, current=self._current)

    @property
    def _current(self) -> Phrase:
        if self.min_a is not None and self.max_a is not None:
            return phrase("step.amps_between", min_a=self.min_a, max_a=self.max_a)
        if self.min_a is not None:
            return phrase("step.amps_at_least", min_a=self.min_a)
        return (
            phrase("step.amps_any") if self.max_a is None else phrase("step.amps_at_most", max_a=self.max_a)
        )

    @property
    def longest_s(self) -> float:
        """Until it has come to rest."""
        return self.within_s

    @model_validator(mode="after")
    def _ordered(self) -> _Output:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if not self.min_v < self.max_v:
            yield "min_v < max_v does not hold"
        if self.min_a is not None and self.max_a is not None and not self.min_a < self.max_a:
            yield "min_a < max_a does not hold"


class SupplyOn(_Output):
    """Switch the supply on and check its window."""

    _name = "supply"
    verb: Literal["supply_on"]
    """Which step it is."""


class IgnitionOn(_Output):
    """Switch the ignition line on and check that the supply still holds."""

    _name = "ignition"
    verb: Literal["ignition_on"]
    """Which step it is."""


class SupplyOff(Step):
    """Switch the supply off and wait until its output has fallen."""

    verb: Literal["supply_off"]
    """Which step it is."""
    below_v: float = Field(default=1.0, gt=0, le=5)
    """So far the output must fall."""
    within_s: float = Field(default=5.0, gt=0, le=30)
    """How long it may take to fall."""

    @property
    def told(self) -> Phrase:
        """In words."""
        return phrase("step.supply_off", below_v=self.below_v)

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return self.within_s


class IgnitionOff(Step):
    """Switch the ignition line off and, where a current is given, wait until the controller sleeps."""

    verb: Literal["ignition_off"]
    """Which step it is."""
    below_a: float | None = Field(default=None, gt=0, le=20)
    """So far the current must fall. More is a controller that still writes, or an ignition that stays on."""
    within_s: float = Field(default=10.0, gt=0, le=60)
    """How long that may take."""

    @property
    def told(self) -> Phrase:
        """In words."""
        if self.below_a is None:
            return phrase("step.ignition_off")
        return phrase("step.ignition_off_below", below_a=self.below_a)

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return 0.0 if self.below_a is None else self.within_s


class CheckOff(Step):
    """Nothing may come out of the supply while it is off: no voltage, no current."""

    verb: Literal["check_off"]
    """Which step it is."""
    below_v: float = Field(default=1.0, gt=0, le=5)
    """More at the permanent output is a supply that cannot be switched off, or a foreign one."""
    below_a: float = Field(default=0.01, gt=0, le=1)
    """More than that must not flow."""
    within_s: float = Field(default=2.0, gt=0, le=30)
    """How long the output may take to fall."""

    @property
    def told(self) -> Phrase:
        """In words."""
        return phrase("step.check_off", below_v=self.below_v, below_a=self.below_a)

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return self.within_s


class CheckGround(Step):
    """Feed a few milliamps through supply wire, controller and ground wire while everything is off.

    Ground, polarity and shorts are known by it before the controller is powered.
    """

    verb: Literal["check_ground"]
    """Which step it is."""
    min_v: float = Field(default=1.2, gt=0, lt=5)
    """Less at the supply wire is a controller the wrong way round, or a short."""
    max_v: float = Field(default=4.5, gt=0, lt=5)
    """More is a circuit that is not closed: ground or supply is open. The probe's own voltage is 5 V."""

    @property
    def told(self) -> Phrase:
        """In words."""
        return phrase("step.check_ground", min_v=self.min_v, max_v=self.max_v)

    @model_validator(mode="after")
    def _ordered(self) -> CheckGround:
        refuse([] if self.min_v < self.max_v else ["min_v < max_v does not hold"])
        return self
