"""What one run is: an ECU, a job, a change, a technician's habits and the faults, all from one seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from appliance.contract.places import Range
from appliance.definitions.access.kwp2000 import kwp_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.memory import Region
from appliance.definitions.schema import Definition
from appliance.ports.simulated import with_right_checksums
from simulator.ecu.options import EcuOptions
from simulator.ecu.watch import Counter
from simulator.faults import (
    CAR_FAULTS,
    FRAME_KINDS,
    LINE_KINDS,
    SPOILT_KINDS,
    STEP_KINDS,
    Fault,
    FaultKind,
    FaultPlan,
    Trigger,
    random_plan,
)
from simulator.image_synthesis import region_slice
from tests.faults.hardships import Fortune, Hardship, fortune_for, make_of
from tests.faults.prepared_boxes import PACK_IDS, Bench, Benches
from tests.faults.ties import Tie, drawn
from tests.faults.workbench import Site, site_of

DEEPEST = 3
"""Faults strike the job itself and so many attempts after it."""
_UNCHECKED_HEAD_BYTES = 0x400
"""The start of a calibration may lie outside its checksum, and the box then refuses to correct it."""
_UNCHECKED_TAIL_BYTES = 8
_FULL_SIZE_SHARE = 0.01
_READ_SHARE = 0.05
_SERVICES = {
    0x10: 5, 0x11: 2, 0x22: 12, 0x27: 4, 0x28: 3, 0x31: 30, 0x34: 4, 0x36: 30, 0x37: 4, 0x3E: 8, 0x85: 3
}  # fmt: skip
"""UDS services of a write, and about how often each is asked for."""
_KWP_SERVICES = {
    0x10: 3, 0x14: 1, 0x18: 2, 0x1A: 12, 0x23: 60, 0x27: 4, 0x31: 6, 0x33: 8, 0x34: 4, 0x36: 20, 0x37: 4,
    0x3E: 4, 0x81: 3, 0x82: 3, 0x83: 2
}  # fmt: skip
_SERVICES_OF = {"uds": _SERVICES, "kwp2000": _KWP_SERVICES}
_STEADY_S = 8.0
"""About what the gates take before the first erase."""


class Kind(StrEnum):
    """What the technician came for."""

    WRITE = "write"
    RESTORE = "restore"
    """The ECU holds a tuned file; its original goes back."""
    READ = "read"


@dataclass(frozen=True, slots=True)
class Change:
    """A tuned file: whole memory after the change, and which of its bytes are handed in."""

    memory: bytes
    regions: tuple[Region, ...]
    """Where bytes differ."""
    sectors_bytes: int
    """Size of all sectors with a difference."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run."""

    seed: int
    bench: Bench
    kind: Kind
    change: Change
    original_from: int | None
    """From this attempt on the technician recovers with the original."""
    gives_up: bool
    """Whether a refusal before the first erase ends the job."""
    whole_file: bool
    """The tuned file holds all memory, and not one region."""
    corrected_by_box: bool
    fortune: Fortune
    make: EcuOptions
    tie: Tie
    site: Site = Site.CAR

    @property
    def start(self) -> bytes:
        """The ECU's memory before the job."""
        return self.change.memory if self.kind is Kind.RESTORE else self.bench.stock

    @property
    def upload(self) -> bytes:
        """The tuned file as it is handed in."""
        if self.whole_file:
            return self.change.memory
        return self.change.memory[region_slice(self.bench.definition, self.change.regions[0].name)]

    def dice(self, purpose: str) -> random.Random:
        """A source of chance of its own for each purpose."""
        return random.Random(f"{self.seed}/{purpose}")


def scenario_for(
    seed: int,
    benches: Benches,
    definition_id: str | None = None,
    hardship: Hardship | None = None,
    tie: Tie | None = None,
    site: Site | None = None,
) -> Scenario:
    """The run of a seed; the same at any time and place. What is given besides replaces what is drawn."""
    dice = random.Random(f"{seed}/scenario")
    chosen = dice.choice(PACK_IDS)
    kind = _kind(dice)
    full_size = dice.random() < _FULL_SIZE_SHARE
    name = definition_id or chosen
    tie = Tie.NONE if kind is Kind.READ else drawn(seed) if tie is None else tie
    site = site_of(seed, load_definition(PACKS / f"{name}.toml")) if site is None else site
    bench = (
        benches.to_read(name, site)
        if kind is Kind.READ
        else benches.to_write(name, tie, site, full_size=full_size)
    )
    change = _change(dice, bench)
    return Scenario(
        seed=seed,
        bench=bench,
        kind=kind,
        change=change,
        original_from=dice.randint(1, DEEPEST) if dice.random() < 0.25 else None,
        gives_up=dice.random() < 0.3,
        whole_file=_needs_whole_file(bench.definition, change) or dice.random() < 0.3,
        corrected_by_box=dice.random() < 0.5,
        fortune=fortune_for(
            random.Random(f"{seed}/fortune"), wanted=Hardship.NONE if kind is Kind.READ else hardship
        ),
        make=make_of(random.Random(f"{seed}/make")),
        tie=tie,
        site=site,
    )


def _kind(dice: random.Random) -> Kind:
    if dice.random() < _READ_SHARE:
        return Kind.READ
    return Kind.WRITE if dice.random() < 0.7 else Kind.RESTORE


def _change(dice: random.Random, bench: Bench) -> Change:
    """A few bytes in one to three sectors of the calibration, now and then of other writable regions too."""
    definition = bench.definition
    regions = [_tuned_region(definition)]
    if dice.random() < 0.3:
        regions = [region for region in definition.regions if region.writable]
    sectors = [(region, sector) for region in regions for sector in region.sector_ranges()]
    small = [one for one in sectors if one[1].length <= max(0x8000, sectors[0][1].length)]
    memory = bytearray(bench.stock)
    chosen = dice.sample(small, min(len(small), dice.randint(1, 3)))
    for region, sector in chosen:
        _edit(dice, definition, region, sector, memory)
    _keep_own_numbers(definition, bench.stock, memory)
    corrected = _corrected(definition, bytes(memory))
    return _difference(definition, bench.stock, corrected)


def _tuned_region(definition: Definition) -> Region:
    return next(region for region in definition.regions if region.tag == "calibration")


def _edit(
    dice: random.Random, definition: Definition, region: Region, sector: Range, memory: bytearray
) -> None:
    low, high = sector.start, sector.end
    if any(checksum.region == region.name for checksum in definition.checksums):
        low = max(low, region.start + min(_UNCHECKED_HEAD_BYTES, sector.length // 2))
        high = min(high, region.end - _UNCHECKED_TAIL_BYTES)
    base = region_slice(definition, region.name).start - region.start
    for _ in range(dice.randint(1, 12)):
        memory[base + dice.randrange(low, high)] ^= dice.randint(1, 255)


def _keep_own_numbers(definition: Definition, stock: bytes, memory: bytearray) -> None:
    """A file that lacks the numbers of its own ECU is rightly refused."""
    told = definition.simulation
    for number in {
        text.encode() for text in (told.hw, told.sw, told.boot, told.serial, told.vin, told.calid)
    }:
        at = stock.find(number)
        while number and at >= 0:
            memory[at : at + len(number)] = number
            at = stock.find(number, at + 1)


def _corrected(definition: Definition, memory: bytes) -> bytes:
    return with_right_checksums(definition, memory)


def _difference(definition: Definition, stock: bytes, memory: bytes) -> Change:
    regions: dict[str, Region] = {}
    touched = 0
    for region in definition.regions:
        base = region_slice(definition, region.name).start - region.start
        for sector in region.sector_ranges():
            where = slice(base + sector.start, base + sector.end)
            if stock[where] != memory[where]:
                regions[region.name] = region
                touched += sector.length
    return Change(memory, tuple(regions.values()), touched)


def _needs_whole_file(definition: Definition, change: Change) -> bool:
    """Whether the changed bytes are not all in one region that its length alone tells from the others."""
    sizes = [region.size_bytes for region in definition.regions if region.writable]
    return len(change.regions) != 1 or sizes.count(change.regions[0].size_bytes) > 1


_KINDS = (
    *CAR_FAULTS,
    *sorted(STEP_KINDS | SPOILT_KINDS),
    *(FaultKind.POWER_CUT,) * 4,
    *(FaultKind.BOX_DIES,) * 8,
    *(FaultKind.LIE, FaultKind.LOST_FRAME, FaultKind.LOST_ANSWER, FaultKind.ECU_RESET),
)
"""As likely as they stand here: deaths and cuts above all."""
_KINDS_OF = {
    "uds": _KINDS,
    "kwp2000": (*(one for one in _KINDS if one not in FRAME_KINDS), *sorted(LINE_KINDS) * 2),
}


@dataclass(frozen=True, slots=True)
class Storm:
    """What strikes one attempt."""

    plan: FaultPlan
    dies_at_write: int | None
    """Instants around durable writes of the box until it is killed there."""


def storm_for(scenario: Scenario, attempt: int, totals: Mapping[Counter, int]) -> Storm:
    """Faults of an attempt (0 is the job itself); byte triggers count on from what the ECU has done."""
    dice = scenario.dice(f"storm/{attempt}")
    if attempt > DEEPEST or (attempt and dice.random() < 0.3):
        return Storm(FaultPlan(), None)
    count = dice.randint(1, 3 if attempt else 6)
    protocol = scenario.bench.definition.accesses[0].protocol
    plan = random_plan(dice.randrange(1 << 32), count, _KINDS_OF[protocol], _REACH_OF[protocol](scenario))
    faults = [_shifted(_pointed(dice, protocol, _lasting(dice, fault)), totals) for fault in plan.faults]
    for fault in tuple(faults):
        if fault.kind is FaultKind.POWER_CUT and dice.random() < 0.3:
            faults.append(fault.model_copy(update={"kind": FaultKind.BOX_DIES}))
    dies_at_write = dice.randint(1, 60) if dice.random() < 0.2 else None
    return Storm(FaultPlan(faults=tuple(faults)), dies_at_write)


def _reach(scenario: Scenario) -> dict[Trigger, float]:
    """Triggers in the bounds of the job, so that most faults strike."""
    definition, touched = scenario.bench.definition, scenario.change.sectors_bytes
    memory = len(scenario.bench.stock)
    if scenario.kind is Kind.READ:
        return {Trigger.READ: 2 * memory, Trigger.REQUEST: 60, Trigger.FRAME: memory / 4, Trigger.TIME: 40.0}
    program_s = touched / 1024 * (definition.simulation.program_ms_per_kib + 60) / 1000
    reach: dict[Trigger, float] = {
        Trigger.PROGRAMMED: 1.2 * touched,
        Trigger.ERASED: 1.2 * touched,
        Trigger.REQUEST: 150,
        Trigger.FRAME: 600 + touched / 5,
        Trigger.TIME: 2 * _STEADY_S + 2 * program_s,
    }
    if definition.accesses[0].proof == "read_back":
        reach[Trigger.READ] = 2 * memory
    return reach


def _kwp_reach(scenario: Scenario) -> dict[Trigger, float]:
    """The same on a K-line, where bytes take the place of frames and every block is read back."""
    how, touched = kwp_access(scenario.bench.definition), scenario.change.sectors_bytes
    memory = len(scenario.bench.stock)
    byte_s = 10 / how.line.rate_bps + how.times.p4_min_ms / 1000
    if scenario.kind is Kind.READ:
        return {
            Trigger.READ: 2 * memory,
            Trigger.REQUEST: 100,
            Trigger.BYTE: 2.2 * memory,
            Trigger.TIME: 40.0,
        }
    return {
        Trigger.PROGRAMMED: 1.2 * touched,
        Trigger.ERASED: 1.2 * touched,
        Trigger.READ: 2 * memory,
        Trigger.REQUEST: 150,
        Trigger.BYTE: 600 + 1.5 * touched + 1.5 * memory,
        Trigger.TIME: 2 * _STEADY_S + 20 + 2 * touched * byte_s,
    }


_REACH_OF = {"uds": _reach, "kwp2000": _kwp_reach}


def _lasting(dice: random.Random, fault: Fault) -> Fault:
    """Some cuts last until the technician has looked."""
    if fault.kind is FaultKind.POWER_CUT and dice.random() < 0.3:
        return fault.model_copy(update={"duration_s": 0.0})
    return fault


def _pointed(dice: random.Random, protocol: str, fault: Fault) -> Fault:
    """Half of the faults that wait for a request wait for one of a certain service, for the rare ones too."""
    if fault.on is not Trigger.REQUEST or dice.random() < 0.5:
        return fault
    asked = _SERVICES_OF[protocol]
    service = dice.choice(list(asked))
    return fault.model_copy(update={"service": service, "at": float(dice.randint(1, asked[service]))})


def _shifted(fault: Fault, totals: Mapping[Counter, int]) -> Fault:
    if fault.on.value not in set(Counter):
        return fault
    return fault.model_copy(update={"at": fault.at + totals[Counter(fault.on.value)]})
