"""A 4 MiB image with one 32 KiB sector changed: how long the write takes, and what a full one would.

`python -m benchmarks.delta [--json FILE]`. The shipped pbx-e400 with its erase, program and hash times, on
simulated time. The ideal is what the ECU needs to hash its memory before and after, and for the touched
sectors to be erased, carried over the wire and programmed: no request, no answer, nothing else.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import load_all
from appliance.definitions.plausible import Plausibility
from appliance.definitions.schema import Definition
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.own_checksums import own_checksums
from appliance.flashing.plan import FlashPlan
from appliance.flashing.writing import write
from appliance.protocols.access import Block, Hold, MemoryCapability, Progress
from appliance.protocols.isotp.ceiling import transfer_seconds
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.addressing import wire_of
from appliance.protocols.uds.services.transfer import TRANSFER_HEADER_BYTES
from appliance.vault.key_files import load_or_create
from appliance.vault.keys import Role
from benchmarks.models import client_on
from benchmarks.report import Benchmark, Row
from simulator.car import Car, CarSettings
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.support.box import JOB, Box, let_through, request_for

ECU = "pbx-e400"
ANYTHING_GOES = Plausibility(calibration_changed_share=1, code_changed_share=1, entropy_bits=8)
"""Noise is programmed: what is measured is how long that takes."""
WITH_CHECKSUM, WITHOUT_CHECKSUM = 0x8027_8000, 0x8020_8000
"""Two sectors of the calibration; the first holds the calibration's checksum too."""
_KEPT_BYTES = 128
"""At the start of a region: vectors and the ECU's own number, which no file may change."""
_HEADER = bytes(TRANSFER_HEADER_BYTES)


class TimedMemory:
    """Our host's memory capability, adding up the simulated seconds spent on it."""

    def __init__(self, memory: MemoryCapability) -> None:
        self._memory = memory
        self.max_read_bytes = memory.max_read_bytes
        self.read = memory.read
        self.meter = memory.meter
        self.spent_s: dict[str, float] = {"hashing": 0.0, "sectors": 0.0}

    async def erase(self, block: Block) -> None:
        with self._timed("sectors"):
            await self._memory.erase(block)

    async def program(self, block: Block, data: bytes, progress: Progress, hold: Hold | None = None) -> None:
        with self._timed("sectors"):
            await self._memory.program(block, data, progress, hold)

    async def proves_equal(self, block: Block, expected: bytes) -> bool | None:
        with self._timed("hashing"):
            return await self._memory.proves_equal(block, expected)

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        yield
        self.spent_s[kind] += loop.time() - began_s


@dataclass(frozen=True)
class Timed:
    """One write: sectors written, seconds per kind of work, seconds altogether, and the memory's ideal."""

    sectors: int
    hashing_s: float
    sectors_s: float
    total_s: float
    ideal_s: float

    @property
    def memory_s(self) -> float:
        """Hashing and touched sectors, without session, unlock, the ECU's own check and its reset."""
        return self.hashing_s + self.sectors_s


def timed_write(*starts: int) -> Timed:
    """Change the sectors that start there, and the checksum; write the image to a stock ECU."""
    definition = load_all().get(ECU).model_copy(update={"plausibility": ANYTHING_GOES})
    with tempfile.TemporaryDirectory() as state:
        return run_virtual(_timed_write(definition, starts, Path(state)))


async def _timed_write(definition: Definition, starts: tuple[int, ...], state: Path) -> Timed:
    car = Car([definition], wires_for(definition), CarSettings(seed=1))
    bus = car.bus
    car.power_up()
    await asyncio.sleep(definition.twin.boot_ms / 1000)
    client = client_on(bus.attach("host"), definition)
    access: Any = UdsAccess(uds_access(definition), client, definition)
    access.memory = TimedMemory(access.memory)
    box = Box(state, load_or_create(state / "keys", Role.MASTER), definition, access).in_preflight()
    told = await access.identity.identify()
    box.journal.describe(JOB, definition.id, definition.digest(), "obd", told)
    original = _memory(car, definition)
    request = request_for(definition, original, _changed(definition, original, starts))
    papers = replace(request.papers, ecu_hw=told.hw, ecu_sw=told.sw, ecu_boot=told.boot)
    plan = FlashPlan(replace(request, papers=papers))
    executable = await let_through(box.job, plan)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    result = await write(box.job, executable)
    total_s = loop.time() - began_s
    if _memory(car, definition).sha256() != plan.target.sha256():
        raise AssertionError("the ECU holds something else")
    box.close()
    await client.close()
    car.close()
    touched = [one for one in plan.order.blocks if original.block(one) != plan.target.block(one)]
    ideal_s = _ideal_s(definition, touched, plan.target)
    return Timed(
        result.written, access.memory.spent_s["hashing"], access.memory.spent_s["sectors"], total_s, ideal_s
    )


def _memory(car: Car, definition: Definition) -> MemoryImage:
    spans = {one.place.at: car.ecu.memory.read(one.start, one.size_bytes) for one in definition.regions}
    return MemoryImage(spans)


def _changed(definition: Definition, original: MemoryImage, starts: tuple[int, ...]) -> MemoryImage:
    """The writable regions, with other content in these sectors and the right checksum."""
    dice = random.Random(1)
    sectors = {
        block.place.at: dice.randbytes(block.size)
        for block in blocks_of(definition, definition.best_access, writable_only=True)
        if block.start in starts
    }
    content = {
        at: bytes(original.spans[at][:_KEPT_BYTES] + data[_KEPT_BYTES:])
        for at, data in original.overlaid(MemoryImage(sectors)).spans.items()
    }
    for checksum in own_checksums(definition):
        stored = checksum.region.place.at
        content[stored] = checksum.module.correct(bytes(content[stored]))
    return MemoryImage({one.place.at: content[one.place.at] for one in definition.regions if one.writable})


def _ideal_s(definition: Definition, touched: list[Block], target: MemoryImage) -> float:
    ecu, wire = definition.twin, wire_of(uds_access(definition))
    hashed_bytes = 2 * sum(block.size for block in blocks_of(definition, definition.best_access))
    touched_bytes = sum(block.size for block in touched)
    flash_ms_per_kib = ecu.erase_ms_per_kib + ecu.program_ms_per_kib
    ecu_ms = hashed_bytes / 1024 * ecu.hash_ms_per_kib + touched_bytes / 1024 * flash_ms_per_kib
    share = ecu.max_block_bytes - TRANSFER_HEADER_BYTES
    parts = [
        data[at : at + share] for data in map(target.block, touched) for at in range(0, len(data), share)
    ]
    return ecu_ms / 1000 + sum(transfer_seconds(_HEADER + part, wire) for part in parts)


def measure() -> list[Row]:
    """One sector, one sector that moves a checksum elsewhere, and all of them."""
    pack = load_all().get(ECU)
    everything = [block.start for block in blocks_of(pack, pack.best_access, writable_only=True)]
    runs = {
        "32 KiB, the sector with the checksum": timed_write(WITH_CHECKSUM),
        "32 KiB, and the checksum in another sector": timed_write(WITHOUT_CHECKSUM),
        "every writable sector (4,032 KiB)": timed_write(*everything),
    }
    full = runs["every writable sector (4,032 KiB)"]
    return [
        {
            "changed": name,
            "sectors written": run.sectors,
            "hashing s": run.hashing_s,
            "sectors s": run.sectors_s,
            "both s": run.memory_s,
            "ideal s": run.ideal_s,
            "whole write s": run.total_s,
            "of a full write %": run.total_s / full.total_s,
        }
        for name, run in runs.items()
    ]


BENCHMARK = Benchmark("delta", measure)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
