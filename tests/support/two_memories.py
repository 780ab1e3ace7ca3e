"""A box beside a simulated ECU whose two memories have the same addresses, in one process on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.contract.places import Range, Start
from appliance.definitions.library import Library
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext, open_box
from appliance.engine.operations.read import identify, read
from appliance.engine.originals import load_original
from appliance.engine.settings import EngineSettings
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.image import MemoryImage
from appliance.flashing.own_checksums import corrected, own_checksums
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from simulator.car import Car, CarSettings
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.support.box import EEPROM_OFFSET, with_eeprom
from tests.support.definitions import raw, validated

OFFSETS = {"flash": 0, "eeprom": EEPROM_OFFSET, "second": 2 * EEPROM_OFFSET}
"""Of every memory, on the wire."""
WISH = MasterWish(changed_regions=("code", "calibration", "maps"))


def two_memories() -> Definition:
    """Calibration and maps have the same addresses, and a checksum each."""
    tables = raw(with_eeprom())
    tables["checksums"] = [_checksum(name) for name in ("calibration", "maps")]
    return validated(tables)


def three_memories() -> Definition:
    """And one of a second processor, at the same addresses again."""
    tables = raw(two_memories())
    (maps,) = tables["memories"][1]["regions"]
    region = {**maps, "name": "tables", "memory": "second"}
    tables["memories"].append({"name": "second", "regions": [region]})
    tables["access"][0]["address_spaces"].append({"memory": "second", "offset": OFFSETS["second"]})
    tables["checksums"].append(_checksum("tables"))
    return validated(tables)


def _checksum(name: str) -> dict[str, object]:
    start, end = 0x20_0000, 0x20_3FFC
    numbers = {"base": start, "ranges": [[start, end]], "store_at": end, "order": "little"}
    return {"module": "crc32-at", "region": name, "parameters": numbers}


@dataclass
class Job:
    """A box on disk, the car beside it, and a job whose original is read."""

    box: EngineContext
    car: Car
    definition: Definition
    id: str = ""

    @property
    def stored(self) -> MemoryImage:
        original = load_original(self.box, self.box.journal.job(self.id))
        assert original is not None
        return original.image

    def held(self, name: str) -> bytes:
        """What the ECU holds of a region, by the address that its wire has for it."""
        region = self.definition.region(name)
        return self.car.ecu.memory.read(region.start + OFFSETS[region.memory], region.size_bytes)

    def name_of(self, place: Range) -> str:
        """The region that is just there."""
        return next(one.name for one in self.definition.regions if one.place == place)

    def all_held(self) -> bytes:
        """What the ECU holds, in the order of a whole read."""
        return b"".join(self.held(self.name_of(place)) for place, _ in self.stored.pieces)

    def hand_in(self, data: bytes) -> str:
        self.box.uploads["file"] = data
        return "file"

    def tuned(self, *names: str) -> bytes:
        """The whole read, memory after memory by name, with a few bytes of these regions changed."""
        return b"".join(self.edited(*names).values())

    def edited(self, *names: str) -> dict[Start, bytes]:
        stored, found = self.stored, {}
        for place, data in stored.pieces:
            content = bytearray(data)
            for at in (0x11, 0x12, -9) if self.name_of(place) in names else ():
                content[at] ^= 0x5A
            found[place.at] = bytes(content)
        return corrected(own_checksums(self.definition), stored, found)


def on_a_car(
    state: Path, test: Callable[[Job], Awaitable[None]], definition: Definition | None = None
) -> None:
    """Identify and read, then the test, on virtual time."""

    async def inside() -> None:
        known = definition or two_memories()
        car = Car([known], wires_for(known), CarSettings(seed=3, finish=with_right_checksums))
        car.power_up()
        await asyncio.sleep(1)
        box = open_box(EngineSettings(state, state / "engine.sock", "master"), SimulatedCarInterface(car))
        box.library = Library()
        box.library.add(known, Path("two-memories.toml"))
        job = Job(box, car, known)
        try:
            job.id = str((await identify(box))["job"])
            await read(box, job.id)
            await test(job)
        finally:
            box.journal.close()
            car.close()

    run_virtual(inside())
