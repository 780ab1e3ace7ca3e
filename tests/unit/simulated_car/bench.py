"""A small ECU to test on, and a tester that speaks raw requests to it on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from appliance.definitions.access.uds import uds_access
from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from drivers.can.interface import CanFrame
from simulator.bus import SimBus
from simulator.car import Car, CarSettings
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual

READ_CONSTANT = 0x11223344
WRITE_CONSTANT = 0xA5A5F00D
CAL = 0x8001_0000
CAL_SIZE = 0x4000
CODE = 0x8000_4000


def raw_definition() -> dict[str, Any]:
    """16 KiB boot, 48 KiB code, 16 KiB calibration in 4 KiB sectors; a fresh dictionary to change."""
    sectors = [{"size_bytes": 0x1000, "count": 4}]
    return {
        "schema_version": 1,
        "id": "bench-ecu",
        "name": "Bench ECU",
        "kind": "engine",
        "maker": "nobody",
        "cpu": "none",
        "evidence": {"level": "simulated", "sources": ["invented"]},
        "recognition": {"hw": ["BENCH-*"]},
        "bus": {"kind": "can", "bitrate_bps": 500_000},
        "addressing": {"request_id": 0x7E0, "response_id": 0x7E8, "functional_id": 0x7DF},
        "identity": {"hw": 0xF191, "sw": 0xF188, "boot": 0xF180, "vin": 0xF190, "voltage": 0xF442},
        "sessions": {
            "read_security": {"level": 1, "algorithm": "toy-xor", "constant": READ_CONSTANT},
            "write_security": {"level": 3, "algorithm": "toy-add", "constant": WRITE_CONSTANT},
        },
        "regions": [
            {
                "name": "boot",
                "tag": "boot",
                "start": 0x8000_0000,
                "size_bytes": 0x4000,
                "sectors": sectors,
                "writable": False,
                "block_id": 1,
            },
            {
                "name": "code",
                "tag": "code",
                "start": CODE,
                "size_bytes": 0xC000,
                "sectors": [{"size_bytes": 0x4000, "count": 3}],
                "block_id": 2,
            },
            {
                "name": "cal",
                "tag": "calibration",
                "start": CAL,
                "size_bytes": CAL_SIZE,
                "sectors": sectors,
                "block_id": 3,
            },
        ],
        "reading": {"method": "by_address", "block_bytes": 1024, "bootloader_reads": True},
        "erasing": {"by": "address"},
        "writing": {"by": "address"},
        "checking": {"routine": 0x0202, "style": "hash_range"},
        "checksum": {
            "module": "crc32-at",
            "region": "cal",
            "parameters": {
                "base": CAL,
                "ranges": [[CAL, CAL + CAL_SIZE - 4]],
                "store_at": CAL + CAL_SIZE - 4,
                "order": "big",
            },
        },
        "voltage": {"min_v": 12.0, "max_v": 14.8},
        "recovery": {"recoverability": "bootloader", "advice": "none"},
        "method": {"recommended": "obd", "reason": "none"},
        "simulation": {
            "max_block_bytes": 1026,
            "hw": "BENCH-01",
            "sw": "SW-1",
            "boot": "BL-1",
            "serial": "S-1",
            "vin": "BENCHTESTCAR00001",
            "calid": "BENCHCAL",
            "dtcs": ["P0301-00", "U0100-00"],
        },
    }


def build(**tables: dict[str, Any]) -> Definition:
    """The bench ECU with some keys of some tables replaced."""
    raw = raw_definition()
    for name, changes in tables.items():
        raw[name] = raw[name] | changes
    return definition_from_json(json.dumps(raw))


def build_by_block(**tables: dict[str, Any]) -> Definition:
    """The bench ECU with one sector per region, written by block id."""
    regions = [
        one | {"sectors": [{"size_bytes": one["size_bytes"], "count": 1}]}
        for one in raw_definition()["regions"]
    ]
    raw = raw_definition() | {"regions": regions, "erasing": {"by": "block_id"}}
    raw["writing"] = {"by": "block_id", "address_bytes": 1}
    raw["checking"] = {"routine": 0x0202, "style": "compare_block", "verify": "read_back"}
    raw["reading"] |= {"bootloader_reads": True}
    for name, changes in tables.items():
        raw[name] = raw[name] | changes
    return definition_from_json(json.dumps(raw))


class RawTester:
    """Sends requests as hex or bytes and returns answers as bytes."""

    def __init__(self, bus: SimBus, definition: Definition) -> None:
        self.definition = definition
        self.port = bus.attach("tester")
        own = uds_access(definition).addressing
        mixed = own.mode == "mixed"
        fd = uds_access(definition).bus.kind == "can-fd"
        self.link = SoftIsoTpLink(
            self.port,
            IsoTpAddress(
                own.request_id,
                own.response_id,
                own.extended_ids,
                own.request_extension,
                own.request_extension if mixed else own.response_extension,
            ),
            IsoTpSettings(tx_frame_bytes=64 if fd else 8, bit_rate_switch=fd),
        )
        self.pending = 0

    async def ask(self, request: str | bytes, timeout_s: float = 10.0) -> bytes:
        """The final answer; response-pendings are counted in `pending`."""
        payload = bytes.fromhex(request) if isinstance(request, str) else request
        self.pending = 0
        await self.link.send(payload)
        while True:
            answer = await self.link.receive(timeout_s)
            if answer[:1] != b"\x7f" or answer[2] != 0x78:
                return answer
            self.pending += 1

    async def silent(self, request: str) -> bool:
        """True if a request stays unanswered for two seconds."""
        try:
            await self.ask(request, timeout_s=2.0)
        except TimeoutError:
            return True
        return False

    def broadcast(self, request: str) -> None:
        """A functional single frame."""
        payload = bytes.fromhex(request)
        own = uds_access(self.definition).addressing
        head = b"" if own.request_extension is None else bytes((own.request_extension,))
        data = (head + bytes((len(payload),)) + payload).ljust(8, b"\x55")
        self.port.send(CanFrame(own.functional_id, data, own.extended_ids))

    async def heard(self, timeout_s: float = 2.0) -> bytes | None:
        """The next answer, if any comes."""
        try:
            return await self.link.receive(timeout_s)
        except TimeoutError:
            return None

    async def unlock(self, level: int) -> bytes:
        """Seed, key by the bench ECU's toy algorithms, and the answer to the key."""
        answer = await self.ask(bytes((0x27, level)))
        seed = int.from_bytes(answer[2:], "big")
        key = seed ^ READ_CONSTANT if level == 1 else (seed + WRITE_CONSTANT) & 0xFFFF_FFFF
        return await self.ask(bytes((0x27, level + 1)) + key.to_bytes(4, "big"))

    async def enter_programming(self) -> None:
        """Into the bootloader, unlocked for writing."""
        assert (await self.ask("10 03"))[0] == 0x50
        assert (await self.ask("10 02"))[0] == 0x50
        assert await self.unlock(3) == b"\x67\x04"

    async def erase(self, start: int, size: int) -> bytes:
        """Erase routine by address."""
        return await self.ask(bytes.fromhex("31 01 FF00 44") + span(start, size), 60.0)

    async def download(self, start: int, data: bytes, block: int = 1024) -> None:
        """34, 36 as often as it takes, 37."""
        answer = await self.ask(bytes.fromhex("34 00 44") + span(start, len(data)))
        assert answer[0] == 0x74, answer.hex()
        for index, at in enumerate(range(0, len(data), block)):
            counter = (index + 1) & 0xFF
            answer = await self.ask(bytes((0x36, counter)) + data[at : at + block])
            assert answer == bytes((0x76, counter)), answer.hex()
        assert await self.ask("37") == b"\x77"


def span(start: int, size: int) -> bytes:
    """Address and size, four bytes each."""
    return start.to_bytes(4, "big") + size.to_bytes(4, "big")


@asynccontextmanager
async def running(
    definition: Definition | None = None, settings: CarSettings | None = None
) -> AsyncIterator[tuple[Car, RawTester]]:
    """A car that has booted, and a tester on its bus."""
    definition = definition or build()
    car = Car([definition], wires_for(definition), settings)
    bus = car.bus
    tester = RawTester(bus, definition)
    car.power_up()
    await asyncio.sleep(definition.simulation.boot_ms / 1000 + 0.01)
    try:
        yield car, tester
    finally:
        car.close()


def on_virtual_time(
    test: Callable[[Car, RawTester], Awaitable[None]],
    definition: Definition | None = None,
    settings: CarSettings | None = None,
) -> None:
    """Run a test against a booted car."""

    async def main() -> None:
        async with running(definition, settings) as (car, tester):
            await test(car, tester)

    run_virtual(main())
