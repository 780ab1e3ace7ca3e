"""The 20 MB in three memories through the engine, over a simulated CAN ECU: as many sectors, each a 256th."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.places import Range
from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import load_definition
from appliance.definitions.schema import Definition
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.image import MemoryImage
from simulator.ecu.watch import Counter
from tests.support.definitions import raw, validated
from tests.support.two_memories import Job, on_a_car

PACK = Path(__file__).parents[1] / "definitions" / "three_memories.toml"
_DIVISOR = 256
_NAMES = ("flash_code", "external_code", "second_code")
_TWIN = {
    "hw": "THREE-01", "sw": "THREE-SW-1", "boot": "THREE-BL-1", "serial": "SIM0000THREE",
    "vin": "PBXTESTCAR000333A", "calid": "THREE", "max_block_bytes": 4095,
    "secrets": {"unlock": "00003333"},
}  # fmt: skip


def scaled() -> Definition:
    """By the access that reaches all three memories."""
    tables = raw(load_definition(PACK))
    (bench,) = [one for one in tables["access"] if one["name"] == "bench"]
    tables["access"] = [{**bench, "method": "obd", "entry": {}, "wiring": []}]
    tables["access"][0]["identity"]["serial"] = 0xF18C
    tables["checksums"] = []
    for memory in tables["memories"]:
        for region in memory["regions"]:
            region["size_bytes"] //= _DIVISOR
            for run in region["sectors"]:
                run["size_bytes"] //= _DIVISOR
            tables["checksums"].append(_checksum(region))
    tables["plausibility"]["reset_area_bytes"] = 16
    tables["simulation"] = _TWIN
    return validated(tables)


def _checksum(region: dict[str, Any]) -> dict[str, object]:
    start, end = region["start"], region["start"] + region["size_bytes"] - 4
    numbers = {"base": start, "ranges": [[start, end]], "store_at": end, "order": "little"}
    return {"module": "crc32-at", "region": region["name"], "parameters": numbers}


def held(job: Job) -> MemoryImage:
    """All that the ECU holds, memory by memory."""
    access, memory = uds_access(job.definition), job.car.ecu.memory

    def read(place: Range) -> bytes:
        return memory.read(access.wire_start(place), place.length)

    return MemoryImage({one.place.at: read(one.place) for one in job.definition.regions})


@pytest.mark.timeout(300)
def test_three_memories_are_read_written_recovered_and_put_back(tmp_path: Path) -> None:
    definition = scaled()
    assert sum(len(one.sector_ranges()) for one in definition.regions) == 160

    async def test(job: Job) -> None:
        stock = held(job)
        assert job.stored.sha256() == stock.sha256()
        tuned = job.tuned(*_NAMES)
        watch = job.car.ecu.core.watch
        watch.at(Counter.PROGRAMMED, watch.totals[Counter.PROGRAMMED] + 1500, lambda _: job.car.power_cut())
        with pytest.raises(PitboxError, match="WRITE_INTERRUPTED"):
            await write(job.box, job.id, job.hand_in(tuned), MasterWish(changed_regions=_NAMES))
        job.car.connect()
        await asyncio.sleep(2)
        done: Any = await recover(job.box, job.id)
        assert done["result"] == "done"
        now = held(job)
        assert b"".join(bytes(data) for _, data in now.pieces) == tuned
        changed = {place.memory for place in now.changed_ranges(stock)}
        assert changed == {"flash", "external", "second"}
        back: Any = await restore(job.box, job.id)
        assert back["result"] == "restored"
        assert held(job).sha256() == stock.sha256()

    on_a_car(tmp_path, test, definition)
