"""An EDC15: its running application refuses to be woken; its boot loader wakes and drops its addresses."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from appliance.contract.places import Range
from appliance.definitions.access.kwp2000 import KwpAccessDefinition
from appliance.definitions.loader import FAMILIES, load_dirs
from appliance.protocols.access import Block, EcuRefusedError, EcuState, Purpose
from appliance.protocols.kwp2000.access import KwpAccess
from appliance.protocols.kwp2000.session import KwpSession
from drivers.kline.simulated import SimulatedKLine
from simulator.ecu.chip import Chip, Program, Surroundings
from simulator.ecu.memory import FlashMemory
from simulator.ecu.nvm import NonVolatile, Records
from simulator.ecu.options import EcuOptions
from simulator.kline.ecu import KwpEcu
from simulator.kline.server import KwpServer, Told
from simulator.kline.settings import KwpEcuSettings, LineTimes
from simulator.kline.wire import KWire
from simulator.virtualtime import run_virtual

EDC15 = load_dirs((FAMILIES,)).get("vw-edc15")
_LIKE_EDC15 = KwpEcuSettings(
    address=0x01,
    wakes=frozenset(("fast",)),
    key_bytes=(0x6B, 0x8F),
    times=LineTimes(p4_min_s=0.017),
    application_refuses=True,
)
SECTOR = Block("all", Range("flash", 0x8_0000, 0x1_0000))


class Bench:
    """A simulated ECU of the kind, and the definition's access with a toy's key: it has no real one."""

    def __init__(self) -> None:
        wire = KWire()
        self.ecu = KwpEcu(wire, _LIKE_EDC15)
        flash = FlashMemory(EDC15.regions, lambda: bytes(0x8_0000))
        core = Chip(EDC15, flash, NonVolatile(Records()), EcuOptions(), Surroundings(), 0)
        core.program = Program.APPLICATION
        self.server = KwpServer(self.ecu, core, Told({0x92: b"0281010000"}))
        (how,) = EDC15.accesses
        assert isinstance(how, KwpAccessDefinition)
        key = {"algorithm": "toy-xor", "constant": _LIKE_EDC15.secret}
        toy = how.sessions.write_security.model_copy(update=key)
        sessions = how.sessions.model_copy(update={"write_security": toy})
        line = SimulatedKLine(wire.attach("box"))
        session = KwpSession(line, how.model_copy(update={"sessions": sessions}), EDC15.id)
        self.access = KwpAccess(session, EDC15)

    @property
    def services(self) -> list[int]:
        return [request[0] for request in self.ecu.requests]


def at_edc15(work: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await work(Bench())

    run_virtual(run())


def test_a_running_application_is_not_disturbed_to_say_who_it_is() -> None:
    async def work(bench: Bench) -> None:
        assert await bench.access.lifecycle.state() is EcuState.APPLICATION
        told = await bench.access.identity.identify()
        assert (told.hw, told.sw) == (None, None)
        assert set(bench.services) == {0x81}
        assert bench.ecu.violations == []

    at_edc15(work)


def test_it_is_left_for_its_boot_loader_which_speaks_without_addresses() -> None:
    async def work(bench: Bench) -> None:
        assert await bench.access.lifecycle.state() is EcuState.APPLICATION
        await bench.access.lifecycle.open(Purpose.READ)
        assert bench.ecu.in_boot
        assert bench.services == [0x81, 0x81, 0x10, 0x82, 0x81]
        assert (await bench.access.identity.identify()).hw == "0281010000"
        assert bench.ecu.violations == []

    at_edc15(work)


def test_a_boot_loader_that_waits_already_is_woken_at_once() -> None:
    async def work(bench: Bench) -> None:
        bench.ecu.in_boot = True
        assert await bench.access.lifecycle.state() is EcuState.BOOTLOADER
        await bench.access.lifecycle.open(Purpose.READ)
        assert 0x10 not in bench.services
        assert bench.ecu.violations == []

    at_edc15(work)


def test_of_its_memory_nothing_is_asked() -> None:
    async def work(bench: Bench) -> None:
        bench.ecu.in_boot = True
        await bench.access.lifecycle.open(Purpose.READ)
        asked = bench.services
        with pytest.raises(EcuRefusedError, match="loader"):
            await bench.access.memory.read(Range("flash", 0x8_0000, 64))
        with pytest.raises(EcuRefusedError, match="loader"):
            await bench.access.memory.erase(SECTOR)
        with pytest.raises(EcuRefusedError, match="loader"):
            await bench.access.memory.program(SECTOR, bytes(SECTOR.size), lambda size: None)
        assert bench.services == asked

    at_edc15(work)
    assert not any(region.writable or region.readable for region in EDC15.regions)
