"""One life of a master-role box with a K-line and nothing else, beside an ECU that outlives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from appliance.engine.context import EngineContext, open_box
from appliance.engine.settings import EngineSettings
from appliance.ports.missing import MissingPorts
from appliance.protocols.port_missing import PortMissingError
from drivers.kline.simulated import SimulatedKLine
from drivers.voltmeter.simulated import SimulatedVoltmeter
from tests.support.kwp_ecu import KwpCar

VOLTS = 13.5


class WatchedLine(SimulatedKLine):
    """Tells whatever the box sends before it is sent."""

    watch: Callable[[bytes], None] = staticmethod(lambda data: None)

    def _write(self, data: bytes) -> None:
        self.watch(data)
        super()._write(data)


class KLinePorts(MissingPorts):
    """A K-line and a voltmeter."""

    simulated = True
    fd = False
    voltmeter_missing: str | None = None

    def __init__(self, car: KwpCar) -> None:
        self.meter = SimulatedVoltmeter(lambda: VOLTS)
        self.lines: list[WatchedLine] = []
        self.watch: Callable[[bytes], None] = lambda data: None
        self._car = car

    def kline(self) -> WatchedLine:
        line = WatchedLine(self._car.wire.attach(f"box {len(self.lines)}"))
        line.watch = self.watch
        self.lines.append(line)
        return line

    def open_port(self, bitrate_bps: int, data_bitrate_bps: int | None) -> NoReturn:
        raise PortMissingError("CAN bus")

    def open_listener(self, bitrate_bps: int) -> NoReturn:
        raise PortMissingError("CAN bus")

    def usable_rates(self, rates_bps: Sequence[int]) -> NoReturn:
        raise PortMissingError("CAN bus")

    def open_link(self, port: object, address: object, settings: object) -> NoReturn:
        raise PortMissingError("CAN bus")


class KwpBox:
    """The box, and the car at its cable."""

    def __init__(self, state: Path, car: KwpCar) -> None:
        self.car = car
        self.state = state
        self.box = self._opened()

    def live_again(self, state: Path) -> None:
        """The box comes back from a power cut, on the files as they were then."""
        self.state = state
        for line in self.ports.lines:
            line.close()
        self.box = self._opened()

    def hand_in(self, data: bytes) -> str:
        self.box.uploads["file"] = data
        return "file"

    def _opened(self) -> EngineContext:
        self.ports = KLinePorts(self.car)
        settings = EngineSettings(self.state, self.state / "engine.sock", "master")
        box = open_box(settings, self.ports)
        box.library.add(self.car.definition, Path(f"{self.car.definition.id}.toml"))
        return box
