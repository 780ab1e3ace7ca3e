"""1 MiB read and written on the simulated 500 kbit/s wire: our host and the peer, against the ideal.

`python -m benchmarks.transfer [--json FILE]`. Simulated time, so every run gives the same figures.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from appliance.contract.places import FLASH, Range
from appliance.definitions.access.uds import uds_access
from appliance.protocols.access import Block, Purpose
from appliance.protocols.uds.access import UdsAccess
from benchmarks import peer
from benchmarks.models import FIVE_MS, MIB, SECTOR_BYTES, START, ZERO_DELAY, Model, client_on
from benchmarks.report import Benchmark, Row
from simulator.bus import SimBus
from simulator.car import Car
from simulator.virtualtime import VirtualLoop, run_virtual

MODELS = (ZERO_DELAY, FIVE_MS)
PEERS = {
    "udsoncan + can-isotp as they come (BS 8)": peer.DEFAULTS,
    "udsoncan + can-isotp with BS 0": peer.NO_BLOCKS,
}


def content() -> bytes:
    """What is written: 1 MiB that cannot be foreseen."""
    return random.Random(1).randbytes(MIB)


def our_read(model: Model) -> tuple[float, bytes]:
    """Simulated seconds of the whole job, from the session to the last byte, and the bytes."""

    async def main() -> tuple[float, bytes]:
        bus, car = model.car()
        client = client_on(bus.attach("host"), model.definition)
        access = UdsAccess(uds_access(model.definition), client, model.definition)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await access.lifecycle.open(Purpose.READ)
        parts = [
            await access.memory.read(Range(FLASH, START + at, SECTOR_BYTES))
            for at in range(0, MIB, SECTOR_BYTES)
        ]
        seconds = loop.time() - began_s
        await client.close()
        car.close()
        return seconds, b"".join(parts)

    return run_virtual(main())


def our_write(model: Model, data: bytes) -> tuple[float, bytes]:
    """Simulated seconds from the session to the last acknowledge, and what the ECU then holds."""

    async def main() -> tuple[float, bytes]:
        bus, car = model.car()
        client = client_on(bus.attach("host"), model.definition)
        access = UdsAccess(uds_access(model.definition), client, model.definition)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await access.lifecycle.open(Purpose.WRITE)
        for at in range(0, len(data), SECTOR_BYTES):
            block = Block("code", Range(FLASH, START + at, SECTOR_BYTES))
            await access.memory.erase(block)
            await access.memory.program(block, data[at : at + SECTOR_BYTES], lambda count: None)
        seconds = loop.time() - began_s
        await client.close()
        held = car.ecu.memory.read(START, len(data))
        car.close()
        return seconds, held

    return run_virtual(main())


class PeerBench:
    """The peer on a loop of its own, which runs whenever the peer waits."""

    def __init__(self, model: Model, params: dict[str, Any]) -> None:
        self.loop = VirtualLoop()
        bus, self.car = self.loop.run_until_complete(_built(model))
        port = bus.attach("peer")
        node = peer.node_on(port, model.definition, params)
        connection = peer.SimulatedConnection(self.loop, port, node)
        self.client = peer.client_on(connection, model.definition)

    def close(self) -> None:
        self.car.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


async def _built(model: Model) -> tuple[SimBus, Car]:
    return model.car()


def peer_read(model: Model, params: dict[str, Any]) -> tuple[float, bytes]:
    """As our_read."""
    bench = PeerBench(model, params)
    began_s = bench.loop.time()
    data = peer.read(bench.client, START, MIB)
    seconds = bench.loop.time() - began_s
    bench.close()
    return seconds, data


def peer_write(model: Model, params: dict[str, Any], data: bytes) -> tuple[float, bytes]:
    """As our_write."""
    bench = PeerBench(model, params)
    began_s = bench.loop.time()
    peer.write(bench.client, START, data)
    seconds = bench.loop.time() - began_s
    held = bench.car.ecu.memory.read(START, len(data))
    bench.close()
    return seconds, held


def measure() -> list[Row]:
    """Both models, both directions, ours and the peer's."""
    return [row for model in MODELS for row in (*_reads(model), *_writes(model))]


def _reads(model: Model) -> list[Row]:
    seconds, data = our_read(model)
    rows = [_row(model, "read", "Pitbox", seconds, model.ideal_s(data, read=True))]
    for name, params in PEERS.items():
        seconds, theirs = peer_read(model, params)
        if theirs != data:
            raise AssertionError(f"{name} read other bytes")
        rows.append(_row(model, "read", name, seconds, model.ideal_s(data, read=True)))
    return rows


def _writes(model: Model) -> list[Row]:
    data = content()
    runs = {"Pitbox": our_write(model, data)}
    runs |= {name: peer_write(model, params, data) for name, params in PEERS.items()}
    if any(held != data for _, held in runs.values()):
        raise AssertionError("the ECU holds other bytes")
    ideal_s = model.ideal_s(data, read=False)
    return [_row(model, "write", name, seconds, ideal_s) for name, (seconds, _) in runs.items()]


def _row(model: Model, job: str, client: str, seconds: float, ideal_s: float) -> Row:
    return {
        "ECU": model.name,
        "job": f"{job} 1 MiB",
        "client": client,
        "s": seconds,
        "ideal s": ideal_s,
        "kB/s": MIB / seconds / 1000,
        "of ideal %": ideal_s / seconds,
    }


BENCHMARK = Benchmark("transfer", measure)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
