"""A simulated car: its supply, its wires, its ECUs, a gateway in front of them and other traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.definitions.schema import Definition
from simulator.battery import Battery
from simulator.controller import Build, Controller
from simulator.ecu.chip import Surroundings
from simulator.ecu.options import EcuOptions
from simulator.gateway import Gateway, GatewayPolicy
from simulator.image_synthesis import Finish, synthesise
from simulator.kinds import kind_of, wires_for
from simulator.traffic import PeriodicFrame, Traffic
from simulator.wires import Bus, Wires


@dataclass(frozen=True, slots=True)
class CarSettings:
    """How the car is built."""

    seed: int = 0
    """Decides the stock images, the seeds of security access and what interrupted erases leave."""
    data_dir: Path | None = None
    """Keeps each ECU's memory and records over the end of the process."""
    voltage_v: float = 13.5
    load_sag_v: float = 0.05
    ripple_v: float = 0.0
    gateway: GatewayPolicy | None = None
    traffic: tuple[PeriodicFrame, ...] = ()
    options: Mapping[str, EcuOptions] = field(default_factory=dict)
    """By definition id."""
    finish: Finish | None = None
    images: Mapping[str, bytes] = field(default_factory=dict)
    """Stock images by definition id; one is synthesised from the seed where none is given."""


class Car:
    """Comes with the supply connected and the ignition off: `power_up()` or `ignition = True` starts it."""

    def __init__(
        self, definitions: Sequence[Definition], wires: Wires, settings: CarSettings | None = None
    ) -> None:
        """Every ECU is on the wire of its protocol; with a gateway those on CAN are on a bus behind it."""
        self.settings = settings or CarSettings()
        self.wires = wires
        self.engine_running = False
        self.supply_back: Callable[[], None] = self.power_up
        """What ends a power cut: on a bench only the bench knows whether there is a supply."""
        self.strapped = False
        """Whether the ECUs' boot straps are set, which they look at when they start."""
        self.battery = Battery(self.settings.voltage_v, self.settings.load_sag_v, self.settings.ripple_v)
        self.battery.on_change(self._supply)
        self._definitions = tuple(definitions)
        self._inner = wires if self.settings.gateway is None else wires_for(definitions[0])
        self._gateway: Gateway | None = None
        self._traffic: Traffic | None = None
        self._connected = True
        self._ignition = False
        self._settled = True
        self._changed_again = False
        self.ecus = {definition.id: self._ecu(definition) for definition in definitions}

    @property
    def bus(self) -> Bus:
        """Its CAN bus, at the plug. Raises LookupError for a car without one."""
        return self.wires.require_can()

    @property
    def ecu(self) -> Controller:
        """The first ECU, for a car that has one."""
        return next(iter(self.ecus.values()))

    @property
    def ignition(self) -> bool:
        """Key position."""
        return self._ignition

    @ignition.setter
    def ignition(self, on: bool) -> None:
        self._ignition = on
        self._supply()

    def power_up(self) -> None:
        """Supply connected and ignition on: the ECUs boot."""
        self._connected = True
        self.ignition = True

    def connect(self) -> None:
        """The supply is connected; the key stays where it is."""
        self._connected = True
        self._supply()

    def power_cut(self) -> None:
        """The supply is gone this very moment; the key stays where it is."""
        self._connected = False
        self._supply()

    def voltage_v(self, now_s: float | None = None) -> float:
        """What a voltmeter at the diagnostic plug reads."""
        return self.battery.voltage_v(now_s) if self._connected else 0.0

    def close(self) -> None:
        """End the simulation; files keep what the ECUs hold."""
        self._sleep()
        self.battery.close()
        for ecu in self.ecus.values():
            ecu.close()

    def _ecu(self, definition: Definition) -> Controller:
        settings = self.settings
        around = Surroundings(
            self.voltage_v, lambda: self.engine_running, self.battery.add_load, lambda: self.strapped
        )
        build = Build(
            lambda: (
                settings.images.get(definition.id) or synthesise(definition, settings.seed, settings.finish)
            ),
            settings.options.get(definition.id, EcuOptions()),
            around,
            settings.data_dir,
            settings.seed,
        )
        return kind_of(definition).build(definition, self._inner, build)

    def _supply(self) -> None:
        """Bring every controller into the state that supply and key ask for.

        A controller that stops takes its load off the battery, which comes back here: once more, then.
        """
        if not self._settled:
            self._changed_again = True
            return
        self._settled, self._changed_again = False, True
        while self._changed_again:
            self._changed_again = False
            self._switch()
        self._settled = True

    def _switch(self) -> None:
        supplied = self._connected and self._ignition
        if supplied:
            self._wake()
        else:
            self._sleep()
        for ecu in self.ecus.values():
            if supplied and self.battery.level_v >= ecu.core.options.brownout_v:
                ecu.power_on()
            else:
                ecu.power_off()

    def _wake(self) -> None:
        if self.settings.gateway is not None and self._gateway is None:
            ports = self.bus.attach("gateway"), self._inner.require_can().attach("gateway")
            self._gateway = Gateway(*ports, self._definitions, self.settings.gateway)
        if self.settings.traffic and self._traffic is None:
            port = self.bus.attach("other controllers")
            self._traffic = Traffic(port, self.settings.traffic, self._may_send)

    def _sleep(self) -> None:
        if self._gateway is not None:
            self._gateway.close()
            self._gateway = None
        if self._traffic is not None:
            self._traffic.close()
            self._traffic = None

    def _may_send(self, frame: PeriodicFrame) -> bool:
        """An ECU's own messages stop with its application, or when 0x28 switches them off."""
        if frame.owner is None:
            return True
        return self.ecus[frame.owner].chatters
