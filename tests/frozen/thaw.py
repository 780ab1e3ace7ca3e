"""A frozen state directory brought back to life, beside the simulated ECU it belongs to."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.contract.events import Event
from appliance.definitions.parsing import pinned_definition
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext, open_box
from appliance.engine.settings import EngineSettings
from appliance.ports.simulated import SimulatedCarInterface
from simulator.car import Car, CarSettings
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual

HERE = Path(__file__).parent
FORMATS = tuple(sorted(path.name for path in HERE.iterdir() if path.name[:1] == "v" and path.is_dir()))
"""From the oldest to the newest: the tenth needs another order than that of letters."""
FROZEN = tuple(f"{version}/{path.name}" for version in FORMATS for path in sorted((HERE / version).iterdir()))
_BOOT_S = 2.0


@dataclass(frozen=True)
class Thawed:
    """Copies of a frozen box's disk and of its ECU's memory, to be worked on."""

    source: str
    state: Path
    car: Path
    job: str
    tuned_sha256: str
    original_sha256: str
    definition: Definition

    @property
    def journal(self) -> Path:
        return self.state / "journal.db"

    def memory_sha256(self) -> str:
        """Hash of the simulated ECU's whole memory."""
        return hashlib.sha256((self.car / f"{self.definition.id}.flash").read_bytes()).hexdigest()


def thaw(name: str, to: Path) -> Thawed:
    """A private copy, with the modes that git does not keep."""
    return replace(thawed_from(HERE / name, to), source=name)


def thawed_from(source: Path, to: Path) -> Thawed:
    """The same from any place."""
    for part in ("state", "car"):
        shutil.copytree(source / part, to / part)
    for path in (to / "state", *(to / "state").rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    expected = json.loads((source / "expected.json").read_text())
    pinned = min((source / "state" / "definitions").iterdir())
    return Thawed(
        source.name,
        to / "state",
        to / "car",
        expected["job"],
        expected["tuned_sha256"],
        expected["original_sha256"],
        pinned_definition(pinned.read_bytes()),
    )


def live(
    thawed: Thawed, work: Callable[[EngineContext, Car], Awaitable[Any]], events: list[Event] | None = None
) -> Any:
    """One life of the box: opened with no library but the shipped packs, ended in order."""

    async def inside() -> Any:
        definition = thawed.definition
        car = Car([definition], wires_for(definition), CarSettings(seed=11, data_dir=thawed.car))
        car.power_up()
        await asyncio.sleep(_BOOT_S)
        settings = EngineSettings(thawed.state, thawed.state / "engine.sock", role="master")
        try:
            box = open_box(
                settings,
                SimulatedCarInterface(car),
                lambda told: None if events is None else events.append(told.event),
            )
            try:
                return await work(box, car)
            finally:
                box.journal.close()
        finally:
            car.close()

    return run_virtual(inside())
