"""An ECU on the bench: its wires as questions, and what must be known before the box powers it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from appliance.definitions.choreography import Choreography
from appliance.definitions.entry_step import Step
from appliance.definitions.entry_steps import EntryStep
from appliance.definitions.person_steps import Ask, ConnectWires
from appliance.definitions.pin_steps import PulsePin, SetPin
from appliance.definitions.supply_steps import CheckGround, CheckOff, IgnitionOff, IgnitionOn, SupplyOn

if TYPE_CHECKING:
    from appliance.definitions.access.base import Wire

_BEFORE_POWER = {ConnectWires: "connect_wires", CheckOff: "check_off", CheckGround: "check_ground"}


def with_wires_asked(entry: Choreography, wiring: Sequence[Wire]) -> Choreography:
    """The choreography with a question for each wire where it says `connect_wires`."""
    steps: list[EntryStep] = []
    for step in entry.steps:
        steps += _questions(step, wiring) if isinstance(step, ConnectWires) else [step]
    return entry.model_copy(update={"steps": tuple(steps)})


def _questions(step: ConnectWires, wiring: Sequence[Wire]) -> Iterator[Ask]:
    for number, wire in enumerate(wiring, 1):
        yield Ask(
            verb="ask",
            advice=step.advice,
            question=f"wire_{number}",
            text=in_words(wire),
            choices=("connected", "stop"),
            go_on_with=("connected",),
            deadline_s=step.deadline_s,
        )


def is_wire(step: Step, wiring: Sequence[Wire]) -> bool:
    """Whether a step of the choreography asks for one of these wires."""
    return isinstance(step, Ask) and any(
        (step.question, step.text) == (f"wire_{number}", in_words(wire))
        for number, wire in enumerate(wiring, 1)
    )


def in_words(wire: Wire) -> str:
    """What a person does with a wire."""
    return f"Connect pin {wire.pin} of the ECU to {wire.to}." + (f" {wire.note}" if wire.note else "")


def unsafe(entry: Choreography, wiring: Sequence[Wire]) -> Iterator[str]:
    """Why an ECU on the bench must not be powered so: wires not asked for, or nothing checked."""
    asked = [at for at, step in enumerate(entry.steps) if isinstance(step, ConnectWires)]
    if len(asked) > 1:
        yield "connect_wires stands there twice"
    if asked and not wiring:
        yield "connect_wires asks for nothing: there is no wiring"
    if not any(isinstance(step, SupplyOn) for step in entry.steps):
        return
    if not wiring:
        yield "an ECU that the box powers on the bench needs its wiring"
    first = next(at for at, step in enumerate(entry.steps) if isinstance(step, SupplyOn | SetPin | PulsePin))
    before = {type(step) for step in entry.steps[:first]}
    for kind, verb in _BEFORE_POWER.items():
        if kind not in before:
            yield f"no {verb} stands before the first pin is driven and the supply is on"
    for step in entry.steps:
        if isinstance(step, SupplyOn | IgnitionOn) and (step.min_a is None or step.max_a is None):
            yield f"{step.verb} needs min_a and max_a: what the ECU draws is checked on the bench"
    ignited = any(isinstance(step, IgnitionOn) for step in entry.steps)
    if ignited and not any(isinstance(step, IgnitionOff) and step.below_a for step in entry.ending):
        yield "the ending does not switch the ignition off and wait for the current to fall (below_a)"
