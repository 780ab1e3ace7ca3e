"""What all runs on one ECU share: its definition, its stock memory, and a box that has read and sealed it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from appliance.contract.events import Heard
from appliance.contract.jobs import JobState
from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.library import Library
from appliance.definitions.loader import PACKS, load_definition, load_dirs
from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext, open_box
from appliance.engine.operations.read import identify
from appliance.engine.originals import save_image
from appliance.engine.settings import EngineSettings
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from appliance.protocols.ports import CarInterface
from appliance.vault.contents import split
from appliance.vault.images import ImageKind
from simulator.car import Car, CarSettings
from simulator.ecu.options import EcuOptions
from simulator.image_synthesis import synthesise
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.faults.ties import Tie, tied
from tests.faults.workbench import Site, Workbench, bench_access

PACK_IDS = tuple(
    definition.id
    for definition in load_dirs([PACKS])
    if any(access.evidence == "simulated" for access in definition.accesses)
)
_STOCK_SEED = 1
_CUT_DOWN = {"pbx-k7": 8, "pbx-k15": 4, "pbx-s18": 16, "pbx-t300": 16}
"""Sectors that are too large for a thousand runs, divided; everything else is as shipped."""
_READ_CUT_DOWN = {
    "pbx-e400": 64, "pbx-fd20": 16, "pbx-k7": 8, "pbx-k15": 4, "pbx-s18": 64, "pbx-t300": 16, "pbx-x050": 16
}  # fmt: skip
"""For runs that read all memory twice."""


@dataclass(frozen=True, slots=True)
class Bench:
    """An ECU before any fault, and the state directory of a box that knows it."""

    definition: Definition
    stock: bytes
    """All regions in ascending order."""
    state: Path
    job: str
    original: str
    """File id of the sealed original."""

    @property
    def tells_engine_speed(self) -> bool:
        """Whether the box can see that the engine is off; else a person says so."""
        return self.definition.accesses[0].protocol == "uds"

    @property
    def bootloader_reads(self) -> bool:
        """Whether memory can be read while the application is incomplete."""
        access = self.definition.accesses[0]
        return not isinstance(access, UdsAccessDefinition) or access.reading.bootloader_reads

    def car(self, seed: int, memory: bytes, options: EcuOptions | None = None) -> Car:
        """A car with this ECU, holding that memory; made on the running loop."""
        return car_with(self.definition, seed, memory, options)

    def copy_state(self, to: Path, *, written: bool = False) -> Path:
        """The disk of a box that has read its ECU, or has `written` it since, to be worked on."""
        return copy_of_disk(_written(self.state) if written else self.state, to)


class Benches:
    """Makes each bench once. `root` keeps their state directories."""

    def __init__(self, root: Path, change: Callable[[Definition], Definition] | None = None) -> None:
        """With a `change` of every definition that ships."""
        self._root = root
        self._change = change or _as_shipped
        self._made: dict[tuple[str, int, Tie, bool], Bench] = {}

    def to_write(
        self, definition_id: str, tie: Tie = Tie.NONE, site: Site = Site.CAR, *, full_size: bool = False
    ) -> Bench:
        """An ECU whose original is sealed, ready for a write; as large as shipped, or cut down."""
        return self._bench(definition_id, 1 if full_size else _CUT_DOWN.get(definition_id, 1), tie, site)

    def to_read(self, definition_id: str, site: Site = Site.CAR) -> Bench:
        """A small ECU of that kind."""
        return self._bench(definition_id, _READ_CUT_DOWN.get(definition_id, 1), Tie.NONE, site)

    def _bench(self, definition_id: str, divisor: int, tie: Tie, site: Site) -> Bench:
        out_of_car = site is Site.BENCH
        key = (definition_id, divisor, tie, out_of_car)
        if key not in self._made:
            shipped = self._change(load_definition(PACKS / f"{definition_id}.toml"))
            definition = tied(cut_down(shipped, divisor), tie)
            self._made[key] = self._arranged(
                definition, self._root / f"{definition_id}-{divisor}-{tie}-{int(out_of_car)}", out_of_car
            )
        return self._made[key]

    @staticmethod
    def _arranged(definition: Definition, state: Path, out_of_car: bool) -> Bench:
        stock = synthesise(definition, _STOCK_SEED, with_right_checksums)
        bench = Bench(definition, stock, state, "", "")
        job, original = run_virtual(_identify_and_seal(bench, out_of_car))
        return Bench(definition, stock, state, job, original)


def _as_shipped(definition: Definition) -> Definition:
    return definition


def car_with(definition: Definition, seed: int, memory: bytes, options: EcuOptions | None = None) -> Car:
    """A car with one ECU; made on the running loop."""
    settings = CarSettings(
        seed=seed,
        images={definition.id: memory},
        options={definition.id: options} if options is not None else {},
    )
    return Car([definition], wires_for(definition), settings)


def box_on(
    state: Path,
    definition: Definition,
    connection: CarInterface,
    heard: Heard,
    *,
    set_journal_aside: bool = False,
) -> EngineContext:
    """A master-role box on a state directory, whose library is one definition."""
    settings = EngineSettings(
        state, state / "engine.sock", role="master", set_journal_aside=set_journal_aside
    )
    with patch("appliance.engine.context.load_all", lambda _dirs: Library()):
        box = open_box(settings, connection, heard)
    box.library.add(definition, PACKS / f"{definition.id}.toml")
    return box


def copy_of_disk(state: Path, to: Path) -> Path:
    """A state directory as it is this instant; what lies in its folders is never changed in place: shared."""

    def copy(source: str, target: str) -> str:
        if Path(source).parent == state:
            shutil.copyfile(source, target)
        else:
            Path(target).hardlink_to(source)
        return target

    shutil.copytree(state, to, copy_function=copy)
    return to


def cut_down(definition: Definition, divisor: int) -> Definition:
    """The same ECU with every sector divided; its checksum covers the smaller region."""
    if divisor == 1:
        return definition
    data = json.loads(definition.canonical())
    regions = data["memories"][0]["regions"]
    lowest = min(region["start"] for region in regions)
    for region in regions:
        region["start"] = lowest + (region["start"] - lowest) // divisor
        region["size_bytes"] //= divisor
        for run in region["sectors"]:
            run["size_bytes"] //= divisor
    _fit_checksum(data)
    return definition_from_json(json.dumps(data))


def _fit_checksum(data: dict[str, Any]) -> None:
    (checksum,) = data["checksums"]
    region = next(one for one in data["memories"][0]["regions"] if one["name"] == checksum["region"])
    start, end = region["start"], region["start"] + region["size_bytes"]
    fitted = {"base": start, "ranges": [[start, end - 4]], "store_at": end - 4}
    checksum["parameters"] |= {key: fitted[key] for key in fitted if key in checksum["parameters"]}


def _written(state: Path) -> Path:
    return state.with_name(f"{state.name}-written")


async def _identify_and_seal(bench: Bench, out_of_car: bool) -> tuple[str, str]:
    """Job and original of an ECU that was identified over the wire; its memory is sealed without reading it.

    Beside it another box is left, which has finished a write.
    """
    definition, car = bench.definition, bench.car(_STOCK_SEED, bench.stock)
    bench.state.mkdir(mode=0o700)
    access = bench_access(definition) if out_of_car else None
    car.power_up()
    await asyncio.sleep(1)
    connection = SimulatedCarInterface(car)
    if access is not None:
        table = Workbench(car, access)
        connection = SimulatedCarInterface(car, table.bench, table.person)
    box = box_on(bench.state, definition, connection, lambda event: None)
    job_id = str((await identify(box, definition.id, access and access.name))["job"])
    regions = sorted(definition.regions, key=lambda region: region.start)
    segments = tuple(
        box.blobs.put(piece, place.at)
        for region in regions
        for place, piece in split(region.place.at, car.ecu.memory.read(region.start, region.size_bytes))
    )
    file_id = save_image(box, ImageKind.ORIGINAL, box.journal.job(job_id), regions, segments)
    box.journal.move(job_id, JobState.READING)
    box.journal.read_verified(job_id, file_id)
    box.journal.close()
    written = box_on(
        copy_of_disk(bench.state, _written(bench.state)),
        definition,
        SimulatedCarInterface(car),
        lambda event: None,
    )
    written.journal.move(job_id, JobState.PREFLIGHT)
    written.journal.move(job_id, JobState.DONE)
    written.journal.note(job_id, result=JobState.DONE.value)
    written.journal.close()
    car.close()
    return job_id, file_id
