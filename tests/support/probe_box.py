"""A box at a bench with the invented chip on it: tap, pins, supply, voltmeter and person, and no bus."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from appliance.contract.phrases import phrase
from appliance.engine.context import EngineContext, open_box
from appliance.engine.operations.read import identify, read
from appliance.engine.settings import EngineSettings
from appliance.flashing.image import MemoryImage
from appliance.flashing.own_checksums import own_checksums
from appliance.ports.missing import MissingPorts
from appliance.protocols.port_missing import PortMissingError
from drivers.person.simulated import Reply, SimulatedPerson
from drivers.pins.simulated import SimulatedPins
from drivers.supply.interface import Output, SupplyReading
from drivers.supply.simulated import SimulatedSupply
from drivers.voltmeter.simulated import SimulatedVoltmeter
from simulator.virtualtime import run_virtual
from tests.support.changing import changed
from tests.support.probe_definition import CHIP_BYTES, CHIP_START, ProbeAccessDefinition, probe_definition
from tests.support.probe_ecu import ProbeEcu
from tests.support.probe_tap import ProbeTap

Script = Mapping[str, Sequence[Reply]]
IN_TIME: Script = {"probe_connected": [Reply("done", 5.0)]}
VOLTS = 13.5


@dataclass
class ChipBench:
    """The far end of supply and pins: the chip runs while both its wires and the supply let it."""

    on: set[Output] = field(default_factory=set)
    driven: dict[str, bool] = field(default_factory=dict)
    tripped: bool = False
    connected: bool = True
    """The wire of the chip's own supply."""

    line_names = frozenset({"boot_1", "reset"})

    @property
    def supplied(self) -> bool:
        return self.connected and self.volts > 0

    @property
    def volts(self) -> float:
        return VOLTS if Output.SUPPLY in self.on and not self.tripped else 0.0

    @property
    def is_safe(self) -> bool:
        return not self.on and not self.driven

    def set_output(self, output: Output, on: bool) -> None:
        (self.on.add if on else self.on.discard)(output)
        self.tripped = self.tripped and bool(self.on)

    def measure(self) -> SupplyReading:
        return SupplyReading(self.volts, 0.1 if self.volts else 0.0, self.tripped)

    def set_line(self, name: str, high: bool | None) -> None:
        if high is None:
            self.driven.pop(name, None)
        else:
            self.driven[name] = high

    def line_is_high(self, name: str) -> bool:
        return self.driven.get(name, False)

    def box_dies(self) -> None:
        """Its lines float, and its switches fall off."""
        self.on.clear()
        self.driven.clear()
        self.tripped = False


class ChipPorts(MissingPorts):
    """A box that has every port that the chip needs, and no other."""

    simulated = True
    fd = False
    voltmeter_missing: str | None = None

    def __init__(self, tap: ProbeTap, bench: ChipBench, person: SimulatedPerson) -> None:
        self.meter = SimulatedVoltmeter(lambda: bench.volts)
        self._tap = tap
        self._pins = SimulatedPins(bench)
        self._supply = SimulatedSupply(bench)
        self._person = person

    def tap(self) -> ProbeTap:
        return self._tap

    def pins(self) -> SimulatedPins:
        return self._pins

    def supply(self) -> SimulatedSupply:
        return self._supply

    def person(self) -> SimulatedPerson:
        return self._person

    def open_port(self, bitrate_bps: int, data_bitrate_bps: int | None) -> NoReturn:
        raise PortMissingError(phrase("port.can"))

    def open_listener(self, bitrate_bps: int) -> NoReturn:
        raise PortMissingError(phrase("port.can"))

    def usable_rates(self, rates_bps: Sequence[int]) -> NoReturn:
        raise PortMissingError(phrase("port.can"))

    def open_link(self, port: object, address: object, settings: object) -> NoReturn:
        raise PortMissingError(phrase("port.can"))


class ChipBox:
    """One life of a master-role box beside a chip that outlives it."""

    def __init__(self, state: Path, ecu: ProbeEcu, script: Script = IN_TIME) -> None:
        loop = asyncio.get_running_loop()
        self.ecu = ecu
        self.bench = ChipBench()
        how = ecu.definition.accesses[0]
        assert isinstance(how, ProbeAccessDefinition)
        self.tap = ProbeTap(ecu, how.idcode, lambda: self.bench.supplied, loop.time)
        self.person = SimulatedPerson(script, "Kim")
        self.state = state
        self.box = self._opened()

    @property
    def memory(self) -> bytes:
        """All of the chip."""
        return bytes(self.ecu.memory["flash", CHIP_START])

    def live_again(self, state: Path | None = None, script: Script = IN_TIME) -> None:
        """The box comes back from a power cut, on the files as they were then."""
        self.bench.box_dies()
        self.bench.connected = True
        self.tap.gone, self.tap.mute_until = False, -1.0
        self.tap.struck_at.clear()
        self.tap.struck_at_read.clear()
        self.person = SimulatedPerson(script, "Kim")
        self.state = state or self.state
        if state is None:
            self.box.journal.close()
        self.box = self._opened()

    def hand_in(self, data: bytes) -> str:
        self.box.uploads["file"] = data
        return "file"

    def _opened(self) -> EngineContext:
        ports = ChipPorts(self.tap, self.bench, self.person)
        settings = EngineSettings(self.state, self.state / "engine.sock", "master")
        box = open_box(settings, ports)
        box.library.add(self.ecu.definition, Path("pbx-probe-chip.toml"))
        return box


def stock() -> bytes:
    """What the chip left its works with."""
    return _right(random.Random(5).randbytes(CHIP_BYTES))


def tuned(data: bytes, *places: int) -> bytes:
    """A few bytes of it changed, at these places."""
    return _right(changed(data, *(places or (0x700,))))


def _right(data: bytes) -> bytes:
    (checksum,) = own_checksums(probe_definition())
    return checksum.module.correct(data)


def new_chip() -> ProbeEcu:
    definition = probe_definition()
    return ProbeEcu.holding(definition, MemoryImage({definition.regions[0].place.at: stock()}))


@dataclass(frozen=True, slots=True)
class ReadBox:
    """A box on disk that has identified and read its chip."""

    state: Path
    job: str

    def copy(self, to: Path) -> Path:
        return shutil.copytree(self.state, to)


def read_box(state: Path) -> ReadBox:
    async def inside() -> ReadBox:
        chip = ChipBox(state, new_chip())
        job = str((await identify(chip.box, chip.ecu.definition.id))["job"])
        await read(chip.box, job)
        chip.box.journal.close()
        return ReadBox(state, job)

    return run_virtual(inside())
