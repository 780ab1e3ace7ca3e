"""The ECU on the bench: what goes wrong with supply, wires and people there, and what may be true of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from appliance.contract.entry_events import OVER, EntryOutcome
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from drivers.person.simulated import Reply, SimulatedPerson
from drivers.supply.interface import Output
from simulator.bench.bench import Bench
from simulator.car import Car
from simulator.faults import RAILS, Fault, FaultKind, Trigger
from tests.faults.judge import BrokenPromiseError

CONNECTED_S = 3.0
"""A person needs so long for a wire."""
_ENTERED_AFTER_S = 25.0
"""About how long an entry takes: faults strike before, in and behind it."""
_AN_ATTEMPT_S = 60.0
_LATE_S = 700.0
_WRONG_ENDS = ("stop", "connected")
"""What a person says who has said something else twice."""
_WIRES = ("supply", "ignition", "ground", "boot_1")


class Site(StrEnum):
    """Where the ECU is."""

    CAR = "car"
    BENCH = "bench"
    """Out of its car for the whole job."""
    CAR_THEN_BENCH = "car_then_bench"
    """Taken to the bench as soon as the box says that it is needed."""


class Hitch(StrEnum):
    """A class of what goes wrong on a bench."""

    TRIP = "trip"
    SAG = "sag"
    OPEN = "open"
    SWAPPED = "swapped"
    SHORTED = "shorted"
    GROUND_MISSING = "ground_missing"
    POLARITY = "polarity"
    LIMIT = "limit"
    IGNITION_STUCK = "ignition_stuck"
    SUPPLY_STUCK = "supply_stuck"
    DRAWS_NOTHING = "draws_nothing"
    LATE = "late"
    WRONG = "wrong"
    NEVER = "never"


OF_A_PERSON = frozenset({Hitch.LATE, Hitch.WRONG, Hitch.NEVER})


def bench_access(definition: Definition) -> AccessDefinition | None:
    """The access over which an ECU is worked on there, where there is one."""
    return next((one for one in definition.accesses if one.method == "bench"), None)


def site_of(seed: int, definition: Definition) -> Site:
    """Where the run of a seed takes place."""
    if bench_access(definition) is None:
        return Site.CAR
    return random.Random(f"{seed}/site").choice((Site.CAR, Site.CAR_THEN_BENCH, Site.BENCH, Site.BENCH))


@dataclass(frozen=True, slots=True)
class Before:
    """How the bench stood when an attempt began."""

    stuck: set[Output]
    blown: bool
    times_on: int
    """How often its supply had been switched on."""


class Workbench:
    """One ECU on a simulated bench, its person, and how they are found after each attempt."""

    def __init__(self, car: Car, access: AccessDefinition) -> None:
        car.power_cut()
        self.bench = Bench(car)
        self._car = car
        self.access = access
        self.person = self._willing({})
        self.hitches: list[Hitch] = []
        """Those of this attempt."""
        self._before = Before(set(), False, 0)
        self._faults: list[Fault] = []
        self._unwilling: set[str] = set()
        """Wires that the person does not confirm."""
        self._asked_before, self._known = 0, False
        """How it stood when the attempt began: questions so far, and whether the wires were confirmed."""
        self._confirmed = False
        """Whether somebody has confirmed every wire to this life of the box, and the ECU was used."""

    def brew(self, dice: random.Random, wanted: Sequence[Hitch] | None = None) -> list[Fault]:
        """What goes wrong in the coming attempt; faults are for the injector, people are set here."""
        drawn = [dice.choice(list(Hitch)) for _ in range(dice.choice((0, 1, 1, 2)))]
        self.hitches = list(drawn if wanted is None else wanted)
        replies: dict[str, Sequence[Reply]] = {}
        for hitch in OF_A_PERSON & set(self.hitches):
            replies[f"wire_{dice.randint(1, len(self.access.wiring))}"] = _reply(dice, hitch)
        self.person = self._willing(replies)
        self._unwilling = {wire for wire, one in replies.items() if one[-1:] != [Reply("connected")]}
        self._faults = [_fault(dice, hitch) for hitch in self.hitches if hitch not in OF_A_PERSON]
        return self._faults

    def begin(self) -> None:
        """An attempt begins; what strikes at its first instant counts as having been there before."""
        self._asked_before, self._known = len(self.person.asked), self._confirmed
        at_once = {fault.kind for fault in self._faults if not fault.at}
        stuck = {str(one.wire) for one in self._faults if one.kind is FaultKind.OUTPUT_STUCK and not one.at}
        self._before = Before(
            {Output(one) for one in stuck} | self.bench.supply.welded,
            self.bench.blown or FaultKind.DRAWS_NOTHING in at_once,
            self.bench.times_powered,
        )

    def judge(self, told: Sequence[EntryOutcome]) -> None:
        """An attempt is over that told so of its entries; nothing where the box died.

        Raises BrokenPromiseError.
        """
        judge_at_rest(self.bench)
        asked = {one.key for one in self.person.asked[self._asked_before :]}
        confirmed = self._wires <= asked - self._unwilling or (self._known and not asked)
        if self.bench.times_powered > self._before.times_on and not confirmed:
            raise BrokenPromiseError("the box powered an ECU whose wires nobody had confirmed")
        if told:
            self._confirmed = confirmed and EntryOutcome.ENTERED in told
            judge_told(told, self._before, hot=self.bench.supply.is_hot(Output.SUPPLY))

    def mend(self) -> None:
        """The technician puts all of it right, and looks whether the supply is off."""
        self.bench.mend()
        self.person, self._unwilling, self._faults = self._willing({}), set(), []

    def box_dies(self) -> None:
        """What it was told of the wires dies with it."""
        self.bench.box_dies()
        self._confirmed = False

    def take_off(self) -> None:
        """The ECU goes back into its car."""
        self.bench.mend()
        self.bench.box_dies()
        self._car.supply_back = self._car.power_up
        self._car.strapped = False
        self._car.power_up()

    def _willing(self, other: dict[str, Sequence[Reply]]) -> SimulatedPerson:
        return SimulatedPerson(
            {key: other.get(key, [Reply("connected", CONNECTED_S)]) for key in self._wires}, "Kim"
        )

    @property
    def _wires(self) -> set[str]:
        return {f"wire_{number}" for number in range(1, len(self.access.wiring) + 1)}


def judge_at_rest(bench: Bench) -> None:
    """Behind an attempt, and behind the death of a box. Raises BrokenPromiseError."""
    if bench.offences:
        raise BrokenPromiseError(f"the box powered an ECU {', '.join(bench.offences)}")
    left = bench.supply.on - bench.supply.welded
    if left:
        raise BrokenPromiseError(f"{' and '.join(sorted(left))} left on at the bench")
    if bench.driven:
        raise BrokenPromiseError(f"{', '.join(sorted(bench.driven))} left driven at the bench")


def judge_told(told: Sequence[EntryOutcome], before: Before, *, hot: bool) -> None:
    """What the journal tells of the entries of an attempt; `hot`: the supply is on, and has not tripped.

    Raises BrokenPromiseError.
    """
    last, entered = told[-1], EntryOutcome.ENTERED in told
    if last not in OVER:
        raise BrokenPromiseError(f"an entry was left {last} in the journal")
    if hot and Output.SUPPLY in before.stuck and last is EntryOutcome.SAFE:
        raise BrokenPromiseError("a supply that cannot be switched off was called safe")
    if before.stuck and entered:
        raise BrokenPromiseError(f"{' and '.join(sorted(before.stuck))} was stuck, and the ECU was used")
    if before.blown and entered:
        raise BrokenPromiseError("an ECU that draws nothing was used")


def _reply(dice: random.Random, hitch: Hitch) -> Sequence[Reply]:
    if hitch is Hitch.LATE:
        return [Reply("connected", _LATE_S)]
    if hitch is Hitch.NEVER:
        return []
    return [Reply("yes"), Reply("done"), Reply(dice.choice(_WRONG_ENDS))]


def _fault(dice: random.Random, hitch: Hitch) -> Fault:
    """At once, or at some moment of the attempt."""
    reach = dice.choice((0.0, _ENTERED_AFTER_S, _AN_ATTEMPT_S))
    at, wire = dice.uniform(0, reach), dice.choice(_WIRES)
    other = dice.choice([one for one in _WIRES if one != wire])
    of: dict[Hitch, dict[str, object]] = {
        Hitch.TRIP: {"kind": FaultKind.SUPPLY_TRIP},
        Hitch.SAG: {
            "kind": FaultKind.SUPPLY_SAG,
            "volts": dice.choice((4.0, 8.0, 11.0, 16.0)),
            "duration_s": 5.0,
        },
        Hitch.OPEN: {"kind": FaultKind.WIRE_OPEN, "wire": wire},
        Hitch.SWAPPED: {"kind": FaultKind.WIRES_SWAPPED, "wire": wire, "other": other},
        Hitch.SHORTED: {"kind": FaultKind.WIRE_SHORTED, "wire": wire, "other": dice.choice(RAILS)},
        Hitch.GROUND_MISSING: {"kind": FaultKind.WIRE_OPEN, "wire": "ground"},
        Hitch.POLARITY: {"kind": FaultKind.WIRES_SWAPPED, "wire": "supply", "other": "ground"},
        Hitch.LIMIT: {"kind": FaultKind.LIMIT_LOW},
        Hitch.IGNITION_STUCK: {"kind": FaultKind.OUTPUT_STUCK, "wire": "ignition"},
        Hitch.SUPPLY_STUCK: {"kind": FaultKind.OUTPUT_STUCK, "wire": "supply"},
        Hitch.DRAWS_NOTHING: {"kind": FaultKind.DRAWS_NOTHING},
    }
    return Fault.model_validate({"on": Trigger.TIME, "at": at, **of[hitch]})
