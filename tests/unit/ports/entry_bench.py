"""An entry on a simulated bench: its ports, what is recorded of it, and what can be made to go wrong."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from appliance.contract.entry_events import EntryEvent, EntryOutcome
from appliance.contract.errors import PitboxError
from appliance.contract.events import AlarmEvent, Event
from appliance.definitions.choreography import Choreography
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.flashing.entry import Entry
from appliance.ports.simulated import SimulatedCarInterface
from drivers.person.simulated import Reply, SimulatedPerson
from drivers.pins.simulated import SimulatedPins
from drivers.supply.simulated import SimulatedSupply
from simulator.bench.bench import Bench
from simulator.car import Car, CarSettings
from simulator.kinds import wires_for

ENTRY = """
[[steps]]
verb = "ask"
question = "strap_connected"
text = "Connect the boot strap."
deadline_s = 300
advice = "Solder it first."
[[steps]]
verb = "set_pin"
pin = "boot_1"
level = "low"
[[steps]]
verb = "supply_on"
min_v = 11.5
max_v = 14.5
min_a = 0.01
max_a = 0.6
[[steps]]
verb = "check_pin"
pin = "reset"
level = "high"
[[steps]]
verb = "check_pin"
pin = "boot_2"
level = "low"
[[steps]]
verb = "ignition_on"
min_v = 11.5
max_v = 14.5
min_a = 0.2
max_a = 0.6
[[steps]]
verb = "pulse_pin"
pin = "reset"
level = "low"
width_ms = 10
[[steps]]
verb = "wait"
seconds = 1.0
[[ending]]
verb = "set_pin"
pin = "reset"
level = "low"
[[ending]]
verb = "supply_off"
[[ending]]
verb = "release_pin"
pin = "reset"
[[ending]]
verb = "release_pin"
pin = "boot_1"
"""
IN_TIME: Mapping[str, Sequence[Reply]] = {"strap_connected": [Reply("done", 20.0)]}


def entry_of(text: str = ENTRY) -> Choreography:
    return Choreography.model_validate_json(json.dumps(tomllib.loads(text)))


def strapped() -> Definition:
    """An ECU whose strap keeps it in its boot loader, whole or not."""
    definition = load_definition(PACKS / "pbx-x050.toml")
    twin = definition.twin.model_copy(update={"strap_keeps": "boot_loader"})
    return definition.model_copy(update={"simulation": twin})


@dataclass
class EntryBench:
    """Box, bench and record of one life."""

    script: Mapping[str, Sequence[Reply]] = field(default_factory=lambda: IN_TIME)
    events: list[Event] = field(default_factory=list)
    full_after: int | None = None
    """So many events are taken, then the disk is full."""

    def __post_init__(self) -> None:
        definition = strapped()
        self.car = Car([definition], wires_for(definition), CarSettings())
        self.bench = Bench(self.car)
        self.person = SimulatedPerson(self.script, "Kim")
        self.ports = SimulatedCarInterface(self.car, self.bench, self.person)

    @property
    def pins(self) -> SimulatedPins:
        pins = self.ports.pins()
        assert isinstance(pins, SimulatedPins)
        return pins

    @property
    def supply(self) -> SimulatedSupply:
        supply = self.ports.supply()
        assert isinstance(supply, SimulatedSupply)
        return supply

    def record(self, event: Event) -> None:
        if self.full_after is not None and len(self.events) >= self.full_after:
            raise PitboxError("STORAGE_FAILED", "the disk is full", do_now="Make room.")
        self.events.append(event)

    def entry(self, choreography: Choreography | None = None) -> Entry:
        return Entry(choreography or entry_of(), self.ports, self.record, "boot", "job-1")

    @property
    def told(self) -> list[EntryEvent]:
        return [event for event in self.events if isinstance(event, EntryEvent)]

    @property
    def outcomes(self) -> list[EntryOutcome]:
        return [event.outcome for event in self.told]

    @property
    def alarms(self) -> list[str]:
        return [event.code for event in self.events if isinstance(event, AlarmEvent)]
