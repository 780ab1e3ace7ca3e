"""A strict simulated ECU and our host at the two ends of a simulated K-line."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from appliance.definitions.memory import Region, Sectors
from drivers.kline.simulated import SimulatedKLine
from simulator.ecu.memory import FlashMemory
from simulator.kline.ecu import KwpEcu
from simulator.kline.legislated import LegislatedServer, LegislatedTold
from simulator.kline.server import KwpServer, Told
from simulator.kline.settings import KwpEcuSettings
from simulator.kline.wire import KWire
from simulator.virtualtime import run_virtual

START, SECTOR_BYTES, SECTORS = 0x10000, 0x800, 4


class KwpBench:
    """Wire, ECU with a small flash, and a K-line for the host."""

    def __init__(self, settings: KwpEcuSettings | None = None) -> None:
        self.wire = KWire()
        self.ecu = KwpEcu(self.wire, settings or KwpEcuSettings())
        self.stock = random.Random(7).randbytes(SECTOR_BYTES * SECTORS)
        region = Region(
            name="main",
            tag="calibration",
            start=START,
            size_bytes=SECTOR_BYTES * SECTORS,
            sectors=(Sectors(count=SECTORS, size_bytes=SECTOR_BYTES),),
        )
        self.flash = FlashMemory([region], lambda: self.stock)
        told = Told({0x9B: b"1K0909144E  2501"}, [(0x4123, 0xE0)])
        self.server = KwpServer(self.ecu, self.flash, told, asyncio.get_running_loop().time)
        self.line = SimulatedKLine(self.wire.attach("box"))


class LegislatedBench:
    """Wire, an engine controller that knows OBD-II alone, and a K-line for the host."""

    def __init__(self, settings: KwpEcuSettings, told: LegislatedTold) -> None:
        self.wire = KWire()
        self.ecu = KwpEcu(self.wire, settings)
        self.server = LegislatedServer(self.ecu, told)
        self.line = SimulatedKLine(self.wire.attach("box"))


Work = Callable[[KwpBench], Coroutine[Any, Any, None]]


def on_a_bench(work: Work, settings: KwpEcuSettings | None = None) -> None:
    async def run() -> None:
        await work(KwpBench(settings))

    run_virtual(run())


def now_s() -> float:
    return asyncio.get_running_loop().time()
