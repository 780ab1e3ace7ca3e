"""Steps of an entry choreography: supply, ignition, pins, waits and questions, each bounded in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from appliance.definitions.fields import Strict, refuse

PinName = Literal["boot_1", "boot_2", "boot_3", "boot_4", "reset"]
"""The lines of the box's pin connector: boot straps, and the controller's reset."""
PIN_NAMES: frozenset[str] = frozenset(get_args(PinName))
Level = Literal["low", "high"]
QuestionKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]
Choice = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Words = Annotated[str, Field(min_length=1, max_length=500)]


class Step(Strict):
    """Base of every step."""

    advice: Words | None = None
    """What a person should do when this step fails; told in place of the general advice."""

    @property
    def told(self) -> str:
        """In words, as journal and `definitions explain` say it."""
        raise NotImplementedError

    @property
    def longest_s(self) -> float:
        """Longest that it may take, but for the time a person has."""
        return 0.0


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
    def told(self) -> str:
        """The output, its window and its current."""
        low = "" if self.min_a is None else f", at least {self.min_a:g} A"
        high = "" if self.max_a is None else f", at most {self.max_a:g} A"
        return f"{self._name} on, {self.min_v:.1f} to {self.max_v:.1f} V{low}{high}"

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
    def told(self) -> str:
        """In words."""
        return f"supply off, below {self.below_v:.1f} V"

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
    def told(self) -> str:
        """In words."""
        return "ignition off" if self.below_a is None else f"ignition off, below {self.below_a:g} A"

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
    def told(self) -> str:
        """In words."""
        return f"with the supply off below {self.below_v:.1f} V and {self.below_a:g} A"

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
    def told(self) -> str:
        """In words."""
        return f"ground and supply wire closed, {self.min_v:.1f} to {self.max_v:.1f} V at the probe"

    @model_validator(mode="after")
    def _ordered(self) -> CheckGround:
        refuse([] if self.min_v < self.max_v else ["min_v < max_v does not hold"])
        return self


class SetPin(Step):
    """Drive a pin and read it back: a level that does not follow ends the entry."""

    verb: Literal["set_pin"]
    """Which step it is."""
    pin: PinName
    """Which line."""
    level: Level
    """To which level."""

    @property
    def told(self) -> str:
        """In words."""
        return f"{self.pin} {self.level}"


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
    def told(self) -> str:
        """In words."""
        return f"{self.pin} {self.times} x {self.level} for {self.width_ms:g} ms"

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
    def told(self) -> str:
        """In words."""
        return f"{self.pin} released"


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
    def told(self) -> str:
        """In words."""
        return f"{self.pin} reads {self.level}"

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return self.within_s


class Wait(Step):
    """Let the controller settle."""

    verb: Literal["wait"]
    """Which step it is."""
    seconds: float = Field(gt=0, le=60)
    """How long."""

    @property
    def told(self) -> str:
        """In words."""
        return f"wait {self.seconds:g} s"

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
    def told(self) -> str:
        """In words."""
        return f"ask {self.question}: {self.text}"

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
    def told(self) -> str:
        """In words."""
        return "ask for each wire"


EntryStep = Annotated[
    SupplyOn
    | SupplyOff
    | IgnitionOn
    | IgnitionOff
    | SetPin
    | PulsePin
    | ReleasePin
    | CheckPin
    | CheckOff
    | CheckGround
    | Wait
    | Ask
    | ConnectWires,
    Field(discriminator="verb"),
]
EndingStep = Annotated[
    SupplyOff | IgnitionOff | SetPin | ReleasePin | Wait,
    Field(discriminator="verb"),
]
"""An ending switches nothing on and waits for nobody."""
