"""The shipped ECUs on a K-line, all of their memory read and all that is writable written.

`python -m benchmarks.kline_packs [--json FILE]`. Simulated time. *s* is the whole job: waking, session,
unlock, erase and check where something is written, and every block. *ideal s* is the time of the messages
that carry memory, as the session is set: every byte's bits, P2, P3 and P4.
"""

from __future__ import annotations

import asyncio
import random

from appliance.contract.places import Range
from appliance.definitions.access.kwp2000 import kwp_access
from appliance.definitions.loader import load_all
from appliance.definitions.schema import Definition
from appliance.protocols.access import Block, Purpose, WireMeter
from appliance.protocols.kwp2000.access import KwpAccess
from appliance.protocols.kwp2000.session import KwpSession
from benchmarks.report import Benchmark, Row
from drivers.kline.simulated import SimulatedKLine
from simulator.car import Car, CarSettings
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual

PACKS = ("pbx-k7", "pbx-k15")


def measure() -> list[Row]:
    """Each pack, read and written."""
    library = load_all()
    return [row for name in PACKS for row in run_virtual(_rows(library.get(name)))]


async def _rows(definition: Definition) -> list[Row]:
    car = Car([definition], wires_for(definition), CarSettings(seed=1))
    car.power_up()
    await asyncio.sleep(definition.twin.boot_ms / 1000)
    try:
        return [await _read(car, definition), await _written(car, definition)]
    finally:
        car.close()


async def _read(car: Car, definition: Definition) -> Row:
    access, loop = _access(car, definition), asyncio.get_running_loop()
    began_s, held = loop.time(), b""
    await access.lifecycle.open(Purpose.READ)
    for region in definition.regions:
        for at in range(0, region.size_bytes, access.memory.max_read_bytes):
            held += await access.memory.read(region.place.part(at, access.memory.max_read_bytes))
    seconds = loop.time() - began_s
    if held != car.ecu.memory.whole():
        raise AssertionError(f"other bytes than {definition.id} holds were read")
    return _row(definition, "read", len(held), seconds, await _left(access))


async def _written(car: Car, definition: Definition) -> Row:
    access, loop = _access(car, definition), asyncio.get_running_loop()
    places = [place for region in definition.regions if region.writable for place in region.sector_ranges()]
    data = {place: random.Random(place.start).randbytes(place.length) for place in places}
    began_s = loop.time()
    await access.lifecycle.open(Purpose.WRITE)
    for place in places:
        block = Block(_region_of(definition, place), place)
        await access.memory.erase(block)
        await access.memory.program(block, data[place], lambda size: None)
    seconds = loop.time() - began_s
    if any(car.ecu.memory.read(place.start, place.length) != data[place] for place in places):
        raise AssertionError(f"{definition.id} holds other bytes than were written")
    return _row(definition, "write", sum(map(len, data.values())), seconds, await _left(access))


def _access(car: Car, definition: Definition) -> KwpAccess:
    line = SimulatedKLine(car.wires.require_kline().attach("box"))
    return KwpAccess(KwpSession(line, kwp_access(definition), definition.id), definition)


async def _left(access: KwpAccess) -> WireMeter:
    figures = access.memory.meter()
    await access.lifecycle.close()
    return figures


def _region_of(definition: Definition, place: Range) -> str:
    return next(region.name for region in definition.regions if region.place.contains(place))


def _row(definition: Definition, job: str, size: int, seconds: float, figures: WireMeter) -> Row:
    ideal_s = figures.payload_bytes / figures.ceiling_bytes_per_s
    return {
        "ECU": definition.id,
        "bit/s": figures.bitrate_bps,
        "job": f"{job} {size // 1024} KiB",
        "s": seconds,
        "moving memory s": figures.busy_s,
        "ideal s": ideal_s,
        "kB/s": size / seconds / 1000,
        "moving, of ideal %": ideal_s / figures.busy_s,
        "job, of ideal %": ideal_s / seconds,
    }


BENCHMARK = Benchmark("kline_packs", measure)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
