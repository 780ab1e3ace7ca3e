"""A strict simulated ECU and our host at the two ends of a simulated K-line."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from drivers.kline.simulated import SimulatedKLine
from simulator.ecu.chip import Chip, Program, Surroundings
from simulator.ecu.memory import FlashMemory
from simulator.ecu.nvm import NonVolatile, Records
from simulator.ecu.options import EcuOptions
from simulator.kline.ecu import KwpEcu
from simulator.kline.legislated import LegislatedServer, LegislatedTold
from simulator.kline.server import KwpServer, Told
from simulator.kline.settings import KwpEcuSettings
from simulator.kline.wire import KWire
from simulator.virtualtime import run_virtual
from tests.support.kwp_definition import SECTOR_BYTES, SECTORS, START, edc15_kind

__all__ = ["SECTORS", "SECTOR_BYTES", "START", "KwpBench", "now_s", "on_a_bench"]


class KwpBench:
    """Wire, ECU with a small flash, and a K-line for the host."""

    def __init__(self, settings: KwpEcuSettings | None = None) -> None:
        self.wire = KWire()
        self.ecu = KwpEcu(self.wire, settings or KwpEcuSettings())
        self.stock = random.Random(7).randbytes(SECTOR_BYTES * SECTORS)
        definition = edc15_kind()
        self.flash = FlashMemory(definition.regions, lambda: self.stock)
        records = NonVolatile(Records(dtcs={"C0123-00": 0xE0}))
        core = Chip(definition, self.flash, records, EcuOptions(), Surroundings(), 0)
        core.program = Program.APPLICATION
        self.server = KwpServer(self.ecu, core, Told({0x9B: b"1K0909144E  2501"}))
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
