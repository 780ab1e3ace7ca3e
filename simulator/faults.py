"""Faults on demand and at random: a plan says what goes wrong and when, and repeats the same run."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.bench.wires import GROUND, IGNITION, LINES, SUPPLY


class FaultKind(StrEnum):
    """What goes wrong."""

    POWER_CUT = "power_cut"
    """Supply gone at once; back after `duration_s`, or only by `power_up()` if that is 0."""
    ECU_RESET = "ecu_reset"
    BUS_OFF = "bus_off"
    """The ECU's CAN controller gives up for a while."""
    VOLTAGE = "voltage"
    """Supply at `volts` for `duration_s`."""
    RIPPLE = "ripple"
    """Ripple of amplitude `volts` for `duration_s`."""
    LOST_FRAME = "lost_frame"
    """The next `count` frames (of `can_id`) reach nobody."""
    DOUBLED_FRAME = "doubled_frame"
    LATE_FRAME = "late_frame"
    """Delivered `delay_s` after its end."""
    CORRUPTED_FRAME = "corrupted_frame"
    """CRC error on the wire; the controller repeats the frame by itself."""
    GARBLED_FRAME = "garbled_frame"
    """Delivered with its last byte XOR `mask`: broken below the receiver's CRC check."""
    WRONG_READ = "wrong_read"
    """One byte is read XOR `mask`, once."""
    LIE = "lie"
    """One byte is stored XOR `mask` and acknowledged as if it were right."""
    LATE_ANSWER = "late_answer"
    """The next `count` requests are answered `delay_s` late, without a response-pending."""
    WRONG_ANSWER = "wrong_answer"
    """The next `count` requests get the positive response of another service."""
    LOST_ANSWER = "lost_answer"
    """The next `count` requests are carried out and never answered."""
    BUSY = "busy"
    """The next `count` requests are answered with NRC 0x21."""
    PENDING = "pending"
    """The next request is answered with `count` response-pendings first."""
    DOUBLED_ANSWER = "doubled_answer"
    """The next `count` requests are answered twice, the second time `delay_s` after the first."""
    REPLAYED_ANSWER = "replayed_answer"
    """Before the next `count` answers, the last one of the same service comes once more."""
    HELD_ANSWER = "held_answer"
    """The answers to the next `count` requests leave only when another answer pushes them out."""
    TRUNCATED_ANSWER = "truncated_answer"
    """The next `count` positive answers lack their last `mask` bytes, but for the first one."""
    OVERSIZED_ANSWER = "oversized_answer"
    """The next `count` positive answers have `mask` bytes more."""
    LOST_BYTE = "lost_byte"
    """The next `count` bytes on the K-line never get onto it."""
    DOUBLED_BYTE = "doubled_byte"
    """The next `count` bytes on the K-line come twice."""
    GARBLED_BYTE = "garbled_byte"
    """The next `count` bytes on the K-line are XOR `mask`."""
    WRONG_ECHO = "wrong_echo"
    """The next `count` bytes that the tester sends come back, and arrive, XOR `mask`."""
    NO_ECHO = "no_echo"
    """The next `count` bytes that the tester sends never get onto the K-line."""
    LINE_NOISE = "line_noise"
    """For `duration_s` one byte in fifty is another, or none."""
    LINE_DEAD = "line_dead"
    """The K-line has no supply for `duration_s`: nobody hears anything, not even himself."""
    LINE_SHORTED = "line_shorted"
    """The K-line lies on ground for `duration_s`."""
    RATE_REFUSED = "rate_refused"
    """The next `count` changes of the bit rate are refused."""
    ERASE_REFUSED = "erase_refused"
    """The erase under way, or the next one, stops where it is and is answered with `nrc`."""
    SUPPLY_TRIP = "supply_trip"
    """The bench supply's current limit switches it off."""
    SUPPLY_SAG = "supply_sag"
    """The bench supply gives `volts` for `duration_s`."""
    WIRE_OPEN = "wire_open"
    """The bench's `wire` is off; mended after `duration_s`, or never if that is 0, as the next two."""
    WIRES_SWAPPED = "wires_swapped"
    """The far ends of `wire` and `other` are exchanged."""
    WIRE_SHORTED = "wire_shorted"
    """`wire` touches the rail `other`, which is ground or supply."""
    OUTPUT_STUCK = "output_stuck"
    """The switch of the supply's output `wire` (supply or ignition) is stuck on; mended as the wires are."""
    LIMIT_LOW = "limit_low"
    """The bench supply's current limit is set to 0.1 A: an ECU that runs trips it."""
    DRAWS_NOTHING = "draws_nothing"
    """The ECU on the bench takes no current any more."""
    BOX_DIES = "box_dies"
    """Calls what the caller of the injector handed over."""


class Trigger(StrEnum):
    """What is waited for; each is counted from the start of the simulation."""

    PROGRAMMED = "programmed"
    """`at` bytes were programmed by the ECU."""
    ERASED = "erased"
    READ = "read"
    REQUEST = "request"
    """The `at`-th request (of `service`), before it is carried out."""
    BYTE = "byte"
    """The `at`-th byte on the K-line."""
    FRAME = "frame"
    """The `at`-th frame on the tester's bus."""
    TIME = "time"
    """`at` seconds after the injector was made."""


LINE_KINDS = frozenset(
    {
        FaultKind.LOST_BYTE,
        FaultKind.DOUBLED_BYTE,
        FaultKind.GARBLED_BYTE,
        FaultKind.WRONG_ECHO,
        FaultKind.NO_ECHO,
        FaultKind.LINE_NOISE,
        FaultKind.LINE_DEAD,
        FaultKind.LINE_SHORTED,
        FaultKind.RATE_REFUSED,
    }
)
"""What only a K-line has."""
_LASTING = frozenset(
    {
        FaultKind.VOLTAGE,
        FaultKind.RIPPLE,
        FaultKind.SUPPLY_SAG,
        FaultKind.LINE_NOISE,
        FaultKind.LINE_DEAD,
        FaultKind.LINE_SHORTED,
    }
)
BYTE_TRIGGERS = frozenset({Trigger.PROGRAMMED, Trigger.ERASED, Trigger.READ})
FRAME_KINDS = frozenset(
    {
        FaultKind.LOST_FRAME,
        FaultKind.DOUBLED_FRAME,
        FaultKind.LATE_FRAME,
        FaultKind.CORRUPTED_FRAME,
        FaultKind.GARBLED_FRAME,
    }
)
REQUEST_KINDS = frozenset(
    {
        FaultKind.LATE_ANSWER,
        FaultKind.WRONG_ANSWER,
        FaultKind.LOST_ANSWER,
        FaultKind.BUSY,
        FaultKind.PENDING,
        FaultKind.DOUBLED_ANSWER,
        FaultKind.REPLAYED_ANSWER,
        FaultKind.HELD_ANSWER,
        FaultKind.TRUNCATED_ANSWER,
        FaultKind.OVERSIZED_ANSWER,
    }
)
WIRE_KINDS = frozenset({FaultKind.WIRE_OPEN, FaultKind.WIRES_SWAPPED, FaultKind.WIRE_SHORTED})
LASTING_KINDS = WIRE_KINDS | {FaultKind.OUTPUT_STUCK, FaultKind.LIMIT_LOW, FaultKind.DRAWS_NOTHING}
"""What stays until somebody mends it."""
BENCH_KINDS = LASTING_KINDS | {FaultKind.SUPPLY_TRIP, FaultKind.SUPPLY_SAG}
"""What only a bench has."""
WIRES = (SUPPLY, IGNITION, GROUND, *LINES)
RAILS = (GROUND, SUPPLY)
OUTPUTS = (SUPPLY, IGNITION)
STEP_KINDS = frozenset({FaultKind.DOUBLED_ANSWER, FaultKind.REPLAYED_ANSWER, FaultKind.HELD_ANSWER})
"""What makes requests and answers run apart, besides doubled frames and late answers."""


class Fault(BaseModel):
    """One fault: happens once, when its trigger is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    on: Trigger
    at: float = Field(ge=0)
    ecu: str | None = None
    """Definition id; None is the first ECU of the car."""
    service: int | None = Field(default=None, ge=0, le=0xFF)
    can_id: int | None = Field(default=None, ge=0, le=0x1FFF_FFFF)
    duration_s: float = Field(default=0.0, ge=0)
    delay_s: float = Field(default=0.0, ge=0)
    volts: float = Field(default=0.0, ge=0, le=60)
    mask: int = Field(default=0x01, ge=1, le=0xFF)
    count: int = Field(default=1, ge=1)
    nrc: int = Field(default=0x22, ge=0x10, le=0xFE)
    wire: str | None = None
    other: str | None = None

    @model_validator(mode="after")
    def _fitting(self) -> Fault:
        if self.service is not None and self.on is not Trigger.REQUEST:
            raise ValueError("service belongs to on = 'request'")
        if self.can_id is not None and self.kind not in FRAME_KINDS:
            raise ValueError("can_id belongs to the frame faults")
        if self.kind in _LASTING and not self.duration_s:
            raise ValueError(f"{self.kind.value} needs duration_s")
        self._refuse_wires()
        return self

    def _refuse_wires(self) -> None:
        wanted = {
            FaultKind.WIRE_OPEN: (WIRES, (None,)),
            FaultKind.WIRES_SWAPPED: (WIRES, WIRES),
            FaultKind.WIRE_SHORTED: (WIRES, RAILS),
            FaultKind.OUTPUT_STUCK: (OUTPUTS, (None,)),
        }.get(self.kind, ((None,), (None,)))
        for name, value, known in (("wire", self.wire, wanted[0]), ("other", self.other, wanted[1])):
            if value not in known:
                raise ValueError(f"{self.kind.value}: {name} must be one of {known}, not {value!r}")


class FaultPlan(BaseModel):
    """Faults in any order; `model_dump_json` and `model_validate_json` store and load it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    faults: tuple[Fault, ...] = ()


SPOILT_KINDS = frozenset({FaultKind.TRUNCATED_ANSWER, FaultKind.OVERSIZED_ANSWER, FaultKind.ERASE_REFUSED})
"""Answers that say too little or too much, and erases that end with a refusal."""
CAR_FAULTS = tuple(
    one
    for one in FaultKind
    if one not in STEP_KINDS | SPOILT_KINDS | BENCH_KINDS | LINE_KINDS | {FaultKind.BOX_DIES}
)
REFUSALS = tuple(code for code in range(0x10, 0xFF) if code != 0x78)
"""Every negative response code but the one that asks for patience."""
DEFAULT_REACH: Mapping[Trigger, float] = {
    Trigger.PROGRAMMED: 262_144,
    Trigger.ERASED: 262_144,
    Trigger.READ: 1_048_576,
    Trigger.REQUEST: 400,
    Trigger.FRAME: 100_000,
    Trigger.TIME: 60.0,
}
"""How far a random trigger may lie from the start."""


def random_plan(
    seed: int,
    count: int,
    kinds: Sequence[FaultKind] = CAR_FAULTS,
    reach: Mapping[Trigger, float] = DEFAULT_REACH,
) -> FaultPlan:
    """`count` faults of these kinds, at triggers of `reach`; the same arguments give the same plan."""
    dice = random.Random(f"faults/{seed}")
    return FaultPlan(faults=tuple(_random_fault(dice, dice.choice(list(kinds)), reach) for _ in range(count)))


def _random_fault(dice: random.Random, kind: FaultKind, reach: Mapping[Trigger, float]) -> Fault:
    trigger = dice.choice(_fitting_triggers(kind, reach))
    limit = reach[trigger]
    at = dice.uniform(0, limit) if trigger is Trigger.TIME else dice.randint(1, int(limit))
    volts = dice.uniform(0.2, 1.5) if kind is FaultKind.RIPPLE else dice.choice((4.0, 8.0, 11.5, 12.0, 16.5))
    return Fault(
        kind=kind,
        on=trigger,
        at=at,
        duration_s=dice.uniform(0.05, 8.0),
        delay_s=dice.uniform(0.01, 2.0),
        volts=volts,
        mask=1 << dice.randrange(8),
        count=dice.randint(1, 3),
        nrc=dice.choice(REFUSALS) if kind is FaultKind.ERASE_REFUSED else 0x22,
    )


def _fitting_triggers(kind: FaultKind, reach: Mapping[Trigger, float]) -> list[Trigger]:
    """A byte read or stored wrong is told by its count; anything else may happen at any moment."""
    natural = {FaultKind.WRONG_READ: Trigger.READ, FaultKind.LIE: Trigger.PROGRAMMED}.get(kind)
    return [natural] if natural is not None and natural in reach else list(reach)
