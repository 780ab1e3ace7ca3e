"""One life of a master-role box, and a car whose ECU on a K-line outlives it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from appliance.definitions.loader import PACKS
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext, open_box
from appliance.engine.settings import EngineSettings
from appliance.flashing.own_checksums import own_checksums
from appliance.ports.simulated import SimulatedCarInterface
from drivers.kline.simulated import SimulatedKLine
from simulator.car import Car, CarSettings
from simulator.ecu.memory import FlashMemory
from simulator.image_synthesis import region_slice
from simulator.kinds import wires_for
from simulator.kline.controller import KLineController
from tests.support.changing import changed


def right(definition: Definition, data: bytes) -> bytes:
    """With the checksums that the family wants."""
    for checksum in own_checksums(definition):
        where = region_slice(definition, checksum.region.name)
        data = data[: where.start] + checksum.module.correct(data[where]) + data[where.stop :]
    return data


def stock(definition: Definition) -> bytes:
    """What the ECU left its works with."""
    return right(
        definition, random.Random(5).randbytes(sum(region.size_bytes for region in definition.regions))
    )


def tuned(definition: Definition, data: bytes, *places: int) -> bytes:
    """A few bytes of it changed, at these places."""
    return right(definition, changed(data, *(places or (0x300,))))


class KwpCar(Car):
    """Its ECU is `line` on the K-line; `changed` are settings of its ECU on the line."""

    def __init__(self, definition: Definition, **changed: object) -> None:
        settings = CarSettings(images={definition.id: stock(definition)}, load_sag_v=0.0)
        super().__init__([definition], wires_for(definition), settings)
        self.definition = definition
        self.controller = self.ecus[definition.id]
        assert isinstance(self.controller, KLineController)
        self.line, self.server = self.controller.ecu, self.controller.server
        self.line.settings = self.server.settings = replace(self.line.settings, **changed)  # type: ignore[arg-type]
        self.wire = self.wires.require_kline()
        self.power_up()

    @property
    def flash(self) -> FlashMemory:
        """Its only memory."""
        return self.controller.memory

    @property
    def memory(self) -> bytes:
        """All of its flash."""
        return self.flash.whole()


class WatchedLine(SimulatedKLine):
    """Tells whatever the box sends before it is sent."""

    watch: Callable[[bytes], None] = staticmethod(lambda data: None)

    def _write(self, data: bytes) -> None:
        self.watch(data)
        super()._write(data)


class KLinePorts(SimulatedCarInterface):
    """Its lines can be watched, and are lost with the box."""

    def __init__(self, car: Car) -> None:
        super().__init__(car)
        self.lines: list[WatchedLine] = []
        self.watch: Callable[[bytes], None] = lambda data: None

    def kline(self) -> WatchedLine:
        line = WatchedLine(self.car.wires.require_kline().attach(f"box {len(self.lines)}"))
        line.watch = self.watch
        self.lines.append(line)
        return line


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
        box.library.add(self.car.definition, PACKS / f"{self.car.definition.id}.toml")
        return box
