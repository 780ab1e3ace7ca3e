"""A simulated car in place of hardware, chosen by name at the start. The only room that imports it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from appliance.checksums import ChecksumUnsupported
from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
from appliance.definitions.loader import load_all
from appliance.definitions.schema import Definition
from appliance.flashing.own_checksums import own_checksums
from appliance.ports.missing import MissingPorts
from appliance.ports.settings import SimulationSettings
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpLink, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from appliance.protocols.port_missing import PortMissingError
from drivers.can.interface import CanPort
from drivers.kline.simulated import SimulatedKLine
from drivers.person.interface import Person
from drivers.pins.interface import Pins
from drivers.pins.simulated import SimulatedPins
from drivers.supply.interface import Supply
from drivers.supply.simulated import SimulatedSupply
from drivers.voltmeter.simulated import SimulatedVoltmeter
from simulator.bench.bench import Bench
from simulator.bus import SimBus, SimPort
from simulator.car import Car, CarSettings
from simulator.faults import FaultPlan
from simulator.image_synthesis import region_slice
from simulator.injection import FaultInjector
from simulator.kinds import wires_for
from simulator.virtualtime import ScaledLoop, VirtualLoop


class SimulatedCarInterface(MissingPorts):
    """One simulated car: a port for each of its wires. At another bit rate a bus is silent, as a real one.

    With a bench the ECU is out of the car: it has the supply, the pins and the wires of the bench.
    """

    simulated = True
    fd = True
    voltmeter_missing: str | None = None

    def __init__(self, car: Car, bench: Bench | None = None, person: Person | None = None) -> None:
        self.car = car
        self.meter = SimulatedVoltmeter(car.voltage_v)
        self._lines = 0
        self._pins = None if bench is None else SimulatedPins(bench)
        self._supply = None if bench is None else SimulatedSupply(bench)
        self._person = person

    def open_port(self, bitrate_bps: int, data_bitrate_bps: int | None) -> CanPort:
        """Join the car's bus, or a dead one where the bit rates differ. Raises PitboxError PORT_MISSING."""
        bus = self.car.wires.can
        if bus is None:
            return super().open_port(bitrate_bps, data_bitrate_bps)
        if isinstance(bus, SimBus) and (bus.bitrate_bps, bus.data_bitrate_bps) != (
            bitrate_bps,
            data_bitrate_bps,
        ):
            bus = SimBus(bitrate_bps, data_bitrate_bps)
        return bus.attach("pitbox")

    def open_listener(self, bitrate_bps: int) -> CanPort:
        """A port that nobody sends on. Raises PitboxError PORT_MISSING."""
        return self.open_port(bitrate_bps, None)

    def usable_rates(self, rates_bps: Sequence[int]) -> tuple[int, ...]:
        """Every one. Raises PitboxError PORT_MISSING."""
        return super().usable_rates(rates_bps) if self.car.wires.can is None else tuple(rates_bps)

    def open_link(self, port: CanPort, address: IsoTpAddress, settings: IsoTpSettings) -> IsoTpLink:
        """Our own state machine, which runs on simulated time."""
        return SoftIsoTpLink(port, address, settings)

    def rate_change(self, port: CanPort) -> Callable[[int], None]:
        """On a simulated bus a node goes alone. Raises PitboxError CAN_RATE_FIXED for a real one."""
        return port.set_rate if isinstance(port, SimPort) else super().rate_change(port)

    def kline(self) -> SimulatedKLine:
        """On the car's K-line. Raises PitboxError PORT_MISSING."""
        wire = self.car.wires.kline
        if wire is None:
            raise PortMissingError(phrase("port.kline"))
        self._lines += 1
        return SimulatedKLine(wire.attach(f"pitbox {self._lines}"))

    def pins(self) -> Pins:
        """Those of the bench. Raises PitboxError PORT_MISSING."""
        return super().pins() if self._pins is None else self._pins

    def supply(self) -> Supply:
        """That of the bench. Raises PitboxError PORT_MISSING."""
        return super().supply() if self._supply is None else self._supply

    def person(self) -> Person:
        """Raises PitboxError PORT_MISSING."""
        return super().person() if self._person is None else self._person


def loop_factory(simulation: SimulationSettings) -> Callable[[], asyncio.AbstractEventLoop]:
    """Virtual time, or time that passes `pace` times as fast as the wall's."""
    if simulation.pace is None:
        return _frozen_loop
    pace = simulation.pace
    return lambda: ScaledLoop(pace)


def pass_time(loop: asyncio.AbstractEventLoop, passing: bool) -> None:
    """Virtual time passes only while the box works."""
    if isinstance(loop, VirtualLoop):
        loop.frozen = not passing


def _frozen_loop() -> VirtualLoop:
    loop = VirtualLoop()
    loop.frozen = True
    return loop


async def connect(
    simulation: SimulationSettings, definition_dirs: Sequence[Path] = (), person: Person | None = None
) -> SimulatedCarInterface:
    """Build the car; must run on the worker's loop. Raises PitboxError."""
    definition = load_all(definition_dirs).get(simulation.definition)
    plan = _fault_plan(definition, simulation.faults or "{}")
    if simulation.data_dir:
        simulation.data_dir.mkdir(parents=True, exist_ok=True)
    car_settings = CarSettings(
        seed=simulation.seed, data_dir=simulation.data_dir, finish=with_right_checksums
    )
    car = Car([definition], wires_for(definition), car_settings)
    bench = Bench(car) if simulation.bench else None
    try:
        FaultInjector(plan, car, _die, bench)
    except ValueError as error:
        why = phrase("malformed", technical_text=str(error))
        raise EngineError("FAULTS_INVALID", why=why) from error
    if bench is not None:
        return SimulatedCarInterface(car, bench, person)
    car.power_up()
    await asyncio.sleep(definition.twin.boot_ms / 1000)
    return SimulatedCarInterface(car, person=person)


def _fault_plan(definition: Definition, text: str) -> FaultPlan:
    try:
        plan = FaultPlan.model_validate_json(text)
    except ValidationError as error:
        problems = [
            phrase("misfit", place=".".join(map(str, one["loc"])), technical_text=one["msg"])
            for one in error.errors()
        ]
        raise EngineError("FAULTS_INVALID", why=phrase("faults.no_plan"), points=problems) from error
    strangers = {fault.ecu for fault in plan.faults} - {None, definition.id}
    if strangers:
        why = phrase("faults.no_such_ecu", ecus=tuple(sorted(map(str, strangers))))
        raise EngineError("FAULTS_INVALID", why=why)
    return plan


def with_right_checksums(definition: Definition, image: bytes) -> bytes:
    """A synthetic stock image with the checksums its family wants."""
    for checksum in own_checksums(definition):
        where = region_slice(definition, checksum.region.name)
        try:
            corrected = checksum.module.correct(image[where])
        except ChecksumUnsupported:
            continue
        image = image[: where.start] + corrected + image[where.stop :]
    return image


def _die() -> None:
    """The box loses its supply together with the car: nothing more runs, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)
