"""A box and a simulated car in one process and on virtual time: the operations without the socket."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from appliance.contract.errors import PitboxError
from appliance.contract.events import Event
from appliance.contract.manifest import Verdict
from appliance.contract.places import FLASH, Range
from appliance.contract.records import Region
from appliance.contract.uses import Use
from appliance.definitions.library import Library
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext, open_box
from appliance.engine.operations.read import identify, read
from appliance.engine.originals import load_original, sealed_identity, sealed_regions
from appliance.engine.settings import EngineSettings
from appliance.flashing.own_checksums import own_checksums
from appliance.flashing.safety import tell_safety
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from appliance.protocols.access import EcuIdentity
from appliance.protocols.ports import CarInterface
from appliance.vault import key_files as keyring
from appliance.vault.contents import new_file_id
from appliance.vault.keys import MasterKeys, Role
from appliance.vault.package import GrantLimits, TunedFile
from simulator.car import Car, CarSettings
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.support.packages import packed

PACK = "pbx-x050"
NOW_S = 1_800_000_000
_SEED = 3

Done = TypeVar("Done")
Visit = Callable[["Garage"], Awaitable[Done]]


@dataclass(frozen=True, slots=True)
class Readied:
    """A box on disk that has read its car, and the master it believes."""

    state: Path
    job: str
    master: MasterKeys
    role: Role

    def copy(self, to: Path) -> Readied:
        """The same box on a disk of its own."""
        return replace(self, state=shutil.copytree(self.state, to))


@dataclass
class Garage:
    """What a test gets: the box, the car, and a memory that must not change unseen."""

    box: EngineContext
    car: Car
    master: MasterKeys
    job: str
    events: list[Event] = field(default_factory=list)
    stock: bytes = b""

    @property
    def definition(self) -> Definition:
        return self.car.ecu.definition

    @property
    def untouched(self) -> bool:
        """Whether the ECU's memory is byte for byte what it was at first."""
        return self.car.ecu.memory.whole() == self.stock

    def hand_in(self, data: bytes) -> str:
        """An upload."""
        self.box.uploads["file"] = data
        return "file"

    def calibration(self, *, corrected: bool = True) -> bytes:
        """The calibration with 16 bytes changed."""
        region = self.definition.region("calibration")
        data = bytearray(self.car.ecu.memory.read(region.start, region.size_bytes))
        for at in range(0x100, 0x110):
            data[at] ^= 0x5A
        module = own_checksums(self.definition)[0].module
        return module.correct(bytes(data)) if corrected else bytes(data)

    def whole(self, calibration: bytes | None = None) -> bytes:
        """A full image, perhaps with another calibration."""
        start = len(self.stock) - len(calibration or b"")
        return self.stock[:start] + (calibration or b"")

    def package(
        self,
        *,
        limits: Mapping[str, Any] | None = None,
        device: Mapping[str, Any] | None = None,
        **stated: Any,
    ) -> bytes:
        """A package that passes every gate, but for what is stated otherwise."""
        job = self.box.journal.job(self.job)
        original = load_original(self.box, job)
        assert original is not None
        target = self.definition.region("calibration")
        fitting: dict[str, Any] = {
            "job_id": self.job,
            "definition": self.definition.id,
            "ecu": sealed_identity(self.box, job.identity or EcuIdentity()),
            "method": "obd",
            "regions": sealed_regions([target]),
            "contents": stated.get("contents") or {target.place.at: self.calibration()},
            "base_sha256": original.image.sha256(),
            "changed_ranges": (target.place,),
            "checksum": Verdict.OK,
            "use": Use.ROAD_COMPLIANT,
            "consents": ("technician",),
        }
        public = self.box.keys.device_public().model_copy(update=dict(device or {}))
        times = {"nbf_s": NOW_S - 60, "exp_s": NOW_S + 60, **(limits or {})}
        return packed(self.master, public, TunedFile(**(fitting | stated)), GrantLimits(**times), NOW_S)

    def use(self, definition: Definition) -> None:
        """Car and box know the ECU by another version of its definition, and the job is of that version."""
        self.car.ecu.core.definition = definition
        self.box.library = Library()
        self.box.library.add(definition, PACKS / f"{definition.id}.toml")
        for job in self.box.journal.jobs():
            identity = job.identity or EcuIdentity()
            self.box.journal.describe(job.id, definition.id, definition.digest(), "obd", identity)

    async def refusal(self, work: Awaitable[Any]) -> PitboxError:
        """The error the work ends with, which must answer its five questions."""
        try:
            result = await work
        except PitboxError as error:
            assert error.what and error.do_now and error.code.isupper()
            tell_safety(error, self.box.journal, self.job)
            return error
        raise AssertionError(f"it was not refused: {result}")


def visit(readied: Readied, test: Visit[Done], connection: CarInterface | None = None, **car: Any) -> Done:
    """Run a test in a garage on virtual time; `car` are CarSettings."""

    async def inside() -> Done:
        definition = load_definition(PACKS / f"{PACK}.toml")
        settings = CarSettings(**({"seed": _SEED, "finish": with_right_checksums} | car))
        vehicle = Car([definition], wires_for(definition), settings)
        vehicle.power_up()
        await asyncio.sleep(1)
        garage = open_garage(readied, vehicle)
        try:
            return await test(garage)
        finally:
            garage.box.journal.close()
            vehicle.close()

    return run_virtual(inside())


def open_garage(readied: Readied, car: Car) -> Garage:
    """The box on its disk, beside a car that runs."""
    events: list[Event] = []
    settings = EngineSettings(readied.state, readied.state / "engine.sock", readied.role.value)
    box = open_box(settings, SimulatedCarInterface(car), lambda told: events.append(told.event))
    box.now = lambda: float(NOW_S)
    return Garage(box, car, readied.master, readied.job, events, car.ecu.memory.whole())


def ready(state: Path, role: Role) -> Readied:
    """A new box that has identified and read its car; a slave is paired with a master."""
    ring = keyring.create(state / "keys", role)
    master = ring.master_keys or MasterKeys.generate()
    if role is Role.SLAVE:
        keyring.pair(state / "keys", master.public())
    blank = Readied(state, "", master, role)
    return replace(blank, job=visit(blank, _identify_and_read))


async def _identify_and_read(garage: Garage) -> str:
    job = str((await identify(garage.box))["job"])
    await read(garage.box, job)
    return job


def sealed_region(name: str, start: int, size: int) -> Region:
    """A region as a manifest names it."""
    return Region(name=name, place=Range(FLASH, start, size))


def other_job() -> str:
    """An id no job has."""
    return new_file_id()[:12]
