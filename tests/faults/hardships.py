"""What befalls a job besides faults: another car, a lost journal, rot on the disk, a full disk."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from simulator.ecu import spans
from simulator.ecu.ecu import SimulatedEcu
from simulator.ecu.options import EcuOptions, TransferEnd
from simulator.image_synthesis import region_slice
from tests.faults.prepared_boxes import PACK_IDS, Bench, cut_down

SHARE = 0.5
"""Of the runs that meet with one."""
_JOURNAL = "journal.db"


class Hardship(StrEnum):
    """What happens once in a run, between two attempts."""

    NONE = "none"
    OTHER_CAR = "other_car"
    """The technician plugs into another car before recovering."""
    JOURNAL_LOST = "journal_lost"
    JOURNAL_FLIPPED = "journal_flipped"
    """A bit of its file or of its write-ahead log."""
    ALL_RECORDS_LOST = "all_records_lost"
    """Only keys and sealed images are left."""
    ORIGINAL_DAMAGED = "original_damaged"
    """A bit in one of its sealed segments."""
    TUNED_DAMAGED = "tuned_damaged"
    DISK_FULL = "disk_full"
    DISK_SCARCE = "disk_scarce"
    """The file system says that too little room is left; what is written all the same still fits."""


DRAWN = tuple(one for one in Hardship if one is not Hardship.NONE)
LOST = frozenset({Hardship.JOURNAL_LOST, Hardship.ALL_RECORDS_LOST, Hardship.JOURNAL_FLIPPED})
ROT = frozenset({Hardship.ORIGINAL_DAMAGED, Hardship.TUNED_DAMAGED})
DISK = frozenset({Hardship.DISK_FULL, Hardship.DISK_SCARCE})


class OtherCar(StrEnum):
    """Which car the technician plugged into by mistake."""

    HEALTHY_TWIN = "healthy_twin"
    """The same model with other memory."""
    SAME_SOFTWARE = "same_software"
    HALF_WRITTEN_TWIN = "half_written_twin"
    OTHER_MODEL = "other_model"


@dataclass(frozen=True, slots=True)
class Fortune:
    """What a run has in store besides its storms."""

    hardship: Hardship
    attempt: int
    """From this attempt on, as soon as it can happen."""
    other_car: OtherCar
    writes_until_full: int
    full_for: int
    """Durable writes that fail."""


def fortune_for(dice: random.Random, *, wanted: Hardship | None) -> Fortune:
    """None draws one, or none."""
    drawn = dice.choice(DRAWN) if dice.random() < SHARE else Hardship.NONE
    return Fortune(
        drawn if wanted is None else wanted,
        dice.choice((0, 1, 1, 1, 2)),
        dice.choice(list(OtherCar)),
        dice.randint(1, 40),
        dice.choice((1, 2, 5, 1000)),
    )


def make_of(dice: random.Random) -> EcuOptions:
    """How stubborn this ECU is: what ends a transfer left open, and what keeps its session."""
    ends = (
        frozenset(TransferEnd),
        frozenset(TransferEnd),
        frozenset({TransferEnd.EXIT, TransferEnd.RESET, TransferEnd.POWER}),
        frozenset({TransferEnd.RESET, TransferEnd.POWER}),
    )
    return EcuOptions(transfer_ended_by=dice.choice(ends), s3_kept_by_any_request=dice.random() < 0.7)


def other_definition(bench: Bench, which: OtherCar) -> Definition:
    """What the other car's ECU is: one like the job's with another VIN and serial, or another model."""
    if which is OtherCar.OTHER_MODEL:
        others = (load_definition(PACKS / f"{one}.toml") for one in PACK_IDS if one != bench.definition.id)
        protocol = bench.definition.accesses[0].protocol
        return cut_down(next(one for one in others if one.accesses[0].protocol == protocol), 16)
    told = bench.definition.simulation
    other = told.model_copy(update={"vin": told.vin[:-1] + "Z", "serial": told.serial[:-1] + "Z"})
    return bench.definition.model_copy(update={"simulation": other})


def other_memory(bench: Bench, which: OtherCar) -> bytes | None:
    """What it holds; None is the stock of another model."""
    if which is OtherCar.OTHER_MODEL:
        return None
    if which is OtherCar.SAME_SOFTWARE:
        return bench.stock
    memory = bytearray(bench.stock)
    memory[::1021] = bytes(byte ^ 0x5A for byte in memory[::1021])
    return bytes(memory)


def leave_half_written(ecu: SimulatedEcu, definition: Definition) -> None:
    """Somebody else's write was interrupted: a sector is blank and the application incomplete."""
    region = next(one for one in definition.regions if one.writable)
    sector = region.sector_ranges()[0]
    ecu.memory.force(sector.start, b"\xff" * sector.length)
    with ecu.core.nvm.update() as records:
        records.application_valid = False
        records.unfinished = spans.add(records.unfinished, sector.start, sector.end)


def hurt_records(dice: random.Random, kind: Hardship, state: Path) -> str:
    """Do it to the disk of a box that is off; tells what was done."""
    if kind is Hardship.JOURNAL_FLIPPED:
        files = [path for path in sorted(state.glob(f"{_JOURNAL}*")) if path.stat().st_size]
        path = dice.choice([one for one in files if not one.name.endswith("-shm")])
        return flip(dice, path)
    gone = [path for path in state.iterdir() if path.is_file()]
    if kind is Hardship.JOURNAL_LOST:
        gone = [path for path in gone if path.name.startswith(_JOURNAL)]
    for path in gone:
        path.unlink()
    return f"lost: {', '.join(sorted(path.name for path in gone))}"


def flip(dice: random.Random, path: Path) -> str:
    """One bit of a file, which is replaced: other boxes may share the old one."""
    data = bytearray(path.read_bytes())
    at = dice.randrange(len(data))
    data[at] ^= 1 << dice.randrange(8)
    path.unlink()
    path.write_bytes(data)
    path.chmod(0o600)
    return f"a bit of {path.name} flipped at {at}"


def place_of(definition: Definition, address: int) -> int:
    """Where an address lies in a whole memory. Raises KeyError for one that is no memory."""
    for region in definition.regions:
        if region.start <= address < region.end:
            return region_slice(definition, region.name).start + address - region.start
    raise KeyError(address)
