"""Entry choreography: how a controller is powered and strapped before an access can talk to it, as data.

Steps go forward only, each is bounded in time, and `ending` is what is done afterwards, whatever came before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pydantic import Field, model_validator

from appliance.definitions.entry_steps import EndingStep, EntryStep
from appliance.definitions.fields import Strict, refuse
from appliance.definitions.person_steps import Ask, ConnectWires
from appliance.definitions.pin_steps import CheckPin, PulsePin, ReleasePin, SetPin
from appliance.definitions.supply_steps import (
    CheckGround,
    CheckOff,
    IgnitionOff,
    IgnitionOn,
    SupplyOff,
    SupplyOn,
)

LONGEST_WAITS_S = 120.0
"""All waits of an entry together, and all of its ending."""
LONGEST_QUESTIONS_S = 3600.0
"""All deadlines of an entry together, but for those of its wires."""
_OF_THE_SUPPLY = (SupplyOn, SupplyOff, IgnitionOn, IgnitionOff, CheckOff, CheckGround)


class Choreography(Strict):
    """What is done before an access is opened, and after it: empty for a car that needs nothing."""

    steps: tuple[EntryStep, ...] = Field(default=(), max_length=64)
    """What is done before the access is opened, one after the other."""
    ending: tuple[EndingStep, ...] = Field(default=(), max_length=32)
    """Done when the work is over and when the entry fails; then every pin is released in any case."""
    keep_supply: bool = False
    """True where a controller must stay powered once it was entered: the supply is left as the steps left
    it. An entry that fails always ends with the supply off."""

    @property
    def pins(self) -> frozenset[str]:
        """Pins that it drives or reads."""
        return frozenset(
            step.pin for step in self.steps if isinstance(step, SetPin | PulsePin | ReleasePin | CheckPin)
        )

    @property
    def switches(self) -> bool:
        """Whether it needs the bench supply."""
        return any(isinstance(step, _OF_THE_SUPPLY) for step in self.steps)

    @property
    def asks(self) -> bool:
        """Whether it needs a person."""
        return any(isinstance(step, Ask | ConnectWires) for step in self.steps)

    @model_validator(mode="after")
    def _consistent(self) -> Choreography:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if self.ending and not self.steps:
            yield "an ending without steps ends nothing"
        yield from self._unreleased()
        yield from self._unswitched()
        yield from self._order()
        yield from self._too_long()
        questions = Counter(step.question for step in self.steps if isinstance(step, Ask))
        for key, count in questions.items():
            if count > 1:
                yield f"question {key!r} is asked {count} times"

    def _unreleased(self) -> Iterator[str]:
        driven: set[str] = {step.pin for step in self.steps if isinstance(step, SetPin | PulsePin)}
        released: set[str] = {step.pin for step in self.ending if isinstance(step, ReleasePin)}
        for pin in sorted(driven - released):
            yield f"the ending does not release {pin}, which the steps drive"
        touched = released | {step.pin for step in self.ending if isinstance(step, SetPin)}
        for pin in sorted(touched - driven):
            yield f"the ending drives or releases {pin}, which no step drives"
        held: set[str] = set()
        for step in self.ending:
            if isinstance(step, SetPin):
                held.add(step.pin)
            elif isinstance(step, ReleasePin):
                held.discard(step.pin)
        for pin in sorted(held & released):
            yield f"the ending drives {pin} again after releasing it"

    def _unswitched(self) -> Iterator[str]:
        switched = any(isinstance(step, SupplyOn) for step in self.steps)
        off = any(isinstance(step, SupplyOff) for step in self.ending)
        dark = off or any(isinstance(step, IgnitionOff) for step in self.ending)
        if self.keep_supply and not switched:
            yield "keep_supply without a supply_on keeps nothing"
        if self.keep_supply and dark:
            yield "keep_supply and an ending that switches off exclude each other"
        if dark and not switched:
            yield "the ending switches off what no step switches on"
        if switched and not off and not self.keep_supply:
            yield "the ending does not switch the supply off (supply_off), and keep_supply is not set"

    def _order(self) -> Iterator[str]:
        """The supply is on before the ignition and off behind it, and nothing is switched on twice."""
        ending = [type(step) for step in self.ending]
        if {IgnitionOff, SupplyOff} <= set(ending) and ending.index(SupplyOff) < ending.index(IgnitionOff):
            yield "the ending switches the supply off before the ignition"
        supply = ignition = False
        for at, step in enumerate(self.steps):
            match step:
                case CheckOff() | CheckGround() if supply:
                    yield f"steps[{at}]: {step.verb} is for a supply that is off"
                case SupplyOn() if supply:
                    yield f"steps[{at}]: the supply is on already"
                case IgnitionOn() if not supply:
                    yield f"steps[{at}]: the ignition is switched on before the supply"
                case IgnitionOn() if ignition:
                    yield f"steps[{at}]: the ignition is on already"
                case _:
                    pass
            supply = isinstance(step, SupplyOn) or (supply and not isinstance(step, SupplyOff))
            ignition = isinstance(step, IgnitionOn) or (
                ignition and not isinstance(step, IgnitionOff | SupplyOff)
            )

    def _too_long(self) -> Iterator[str]:
        for name, steps in (("steps", self.steps), ("ending", self.ending)):
            waits_s = sum(step.longest_s for step in steps)
            if waits_s > LONGEST_WAITS_S:
                yield f"the {name} may wait {waits_s:.0f} s in all, and {LONGEST_WAITS_S:.0f} s is the most"
        questions_s = sum(step.deadline_s for step in self.steps if isinstance(step, Ask))
        if questions_s > LONGEST_QUESTIONS_S:
            most = f"{LONGEST_QUESTIONS_S:.0f} s is the most"
            yield f"the questions may take {questions_s:.0f} s in all, and {most}"
