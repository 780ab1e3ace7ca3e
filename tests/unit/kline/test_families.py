"""Families of real ECUs, from public facts alone: what they must never be asked, how a write of one ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.places import Range
from appliance.definitions.access.kwp2000 import KwpAccessDefinition
from appliance.definitions.loader import FAMILIES, PACKS, load_dirs
from appliance.definitions.schema import Definition
from appliance.protocols.access import Block, EcuRefusedError, EcuState, Purpose, Refusal
from appliance.protocols.kwp2000.access import KwpAccess
from appliance.protocols.kwp2000.services.memory import request_download
from appliance.protocols.kwp2000.session import KwpSession
from drivers.kline.simulated import SimulatedKLine
from simulator.ecu.chip import Chip, Program, Surroundings
from simulator.ecu.memory import FlashMemory
from simulator.ecu.nvm import NonVolatile, Records
from simulator.ecu.options import EcuOptions
from simulator.kline.answering import AnswerFault
from simulator.kline.ecu import KwpEcu
from simulator.kline.finishing import NOT_FINISHED
from simulator.kline.server import KwpServer, Told
from simulator.kline.settings import KwpEcuSettings
from simulator.kline.wire import KWire
from simulator.virtualtime import run_virtual

FILES = load_dirs((FAMILIES,))
TEXT = b"nobody's text"
SECRET = 0x5A17C0DE
LAST = 0x8F_0000
ME7_5 = FILES.get("vw-me7-5")
STOCK = random.Random(75).randbytes(0x10_0000)
BLOCKS = [
    Block(region.name, Range("flash", one.start, one.length))
    for region in ME7_5.regions
    if region.writable
    for one in region.sector_ranges()
]
CALIBRATION, END = BLOCKS[1], BLOCKS[-1]
WANTED = bytes(range(256)) * 0x100
_LIKE_ME7_5 = KwpEcuSettings(
    wakes=frozenset(("slow",)),
    key_bytes=(0xEF, 0x8F),
    secret=SECRET,
    records_text=TEXT,
    keeps_download_open=True,
    last_sector=LAST,
    status_option=0x9C,
    most_in_download=124,
)
Work = Callable[["Bench"], Coroutine[Any, Any, None]]


def test_they_load_and_claim_nothing() -> None:
    assert not FILES.refused
    for definition in FILES:
        assert {access.evidence for access in definition.accesses} == {"unproven"}
        assert definition.simulation is None
        assert sum(one.startswith("doubt: ") for one in definition.evidence.assumptions) >= 4
    shipped = {definition.id for definition in load_dirs((PACKS,))}
    assert not shipped & {definition.id for definition in FILES}


def test_none_of_them_holds_a_secret() -> None:
    for definition in FILES:
        for access in definition.accesses:
            assert isinstance(access, KwpAccessDefinition)
            for level in (access.sessions.read_security, access.sessions.write_security):
                assert level is None or level.algorithm.startswith("plugin:")


class Bench:
    """A simulated ECU of the kind, and the definition's access with a toy's key: it has no real one."""

    def __init__(self, settings: KwpEcuSettings, purse: dict[str, bytes]) -> None:
        self.wire = KWire()
        self.ecu = KwpEcu(self.wire, settings)
        self.flash = FlashMemory(ME7_5.regions, lambda: STOCK)
        self.told = Told({0x92: b"0261207939", 0x94: b"1037366446"}, of_application=frozenset((0x94,)))
        self.core = Chip(ME7_5, self.flash, NonVolatile(Records()), EcuOptions(), Surroundings(), 0)
        self.core.program = Program.APPLICATION
        self.server = KwpServer(self.ecu, self.core, self.told)
        definition = with_toy_key(ME7_5)
        (how,) = definition.accesses
        assert isinstance(how, KwpAccessDefinition)
        line = SimulatedKLine(self.wire.attach("box"))
        session = KwpSession(line, how, definition.id)
        self.access = KwpAccess(session, definition, lambda name: given(purse, name))

    async def write(self, *blocks: Block) -> None:
        for block in blocks:
            await self.access.memory.erase(block)
            await self.access.memory.program(block, WANTED[: block.size], lambda size: None)

    @property
    def complains(self) -> bool:
        return NOT_FINISHED in self.core.nvm.records.dtcs


def given(purse: dict[str, bytes], name: str) -> bytes:
    if name not in purse:
        raise PitboxError("SECRET_MISSING", name, do_now="Put it there.")
    return purse[name]


def with_toy_key(definition: Definition) -> Definition:
    (access,) = definition.accesses
    assert isinstance(access, KwpAccessDefinition)
    toy = access.sessions.write_security.model_copy(update={"algorithm": "toy-xor", "constant": SECRET})
    sessions = access.sessions.model_copy(update={"read_security": toy, "write_security": toy})
    return definition.model_copy(update={"accesses": (access.model_copy(update={"sessions": sessions}),)})


def at_me7_5(work: Work, purse: dict[str, bytes] | None = None, **changed: object) -> None:
    async def run() -> None:
        settings = replace(_LIKE_ME7_5, **changed)  # type: ignore[arg-type]
        await work(Bench(settings, {"me7_text": TEXT} if purse is None else purse))

    run_virtual(run())


def test_memory_is_read_by_upload() -> None:
    async def work(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.READ)
        assert await bench.access.memory.read(Range("flash", 0x81_0000, 0x4000)) == STOCK[0x1_0000:0x1_4000]
        assert bench.ecu.violations == []
        assert not any(request[0] == 0x23 for request in bench.ecu.requests)

    at_me7_5(work)


@pytest.mark.parametrize("kind", ["lost", "garbled", "cut"])
def test_an_upload_of_which_a_piece_was_lost_is_announced_anew(kind: str) -> None:
    """Nothing says which piece came."""

    async def work(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.READ)
        bench.ecu.requests.clear()
        late = AnswerFault("late", 0.001)
        bench.ecu.faults.extend([late] * 3 + [AnswerFault(kind)])  # type: ignore[arg-type]
        assert await bench.access.memory.read(Range("flash", 0x82_0000, 0x1000)) == STOCK[0x2_0000:0x2_1000]
        assert [request[0] for request in bench.ecu.requests].count(0x35) == 2

    at_me7_5(work)


def test_a_write_that_ends_with_the_last_sector_and_a_goodbye_is_finished() -> None:
    async def work(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        await bench.write(CALIBRATION, END)
        await bench.access.lifecycle.commit()
        assert bench.flash.read(CALIBRATION.start, CALIBRATION.size) == WANTED
        assert not bench.complains
        assert bench.ecu.violations == []

    at_me7_5(work)


@pytest.mark.parametrize(("blocks", "goodbye"), [((END, CALIBRATION), True), ((CALIBRATION, END), False)])
def test_the_ecu_complains_of_any_other_end(blocks: tuple[Block, ...], goodbye: bool) -> None:
    """The definition says `rewrite_last`, so that the heart never ends a write otherwise."""

    async def work(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        await bench.write(*blocks)
        if goodbye:
            await bench.access.lifecycle.close()
        else:
            await bench.access.session.forget()
            await asyncio.sleep(10)
        assert bench.complains
        await bench.access.lifecycle.open(Purpose.RECOVER)
        await bench.write(CALIBRATION, END)
        await bench.access.lifecycle.commit()
        assert not bench.complains

    at_me7_5(work)
    assert ME7_5.accesses[0].recovery.rewrite_last and ME7_5.accesses[0].recovery.last == ("end",)


def test_a_check_never_comes_before_a_transfer() -> None:
    """Alone it sets the very fault that it is to prevent."""

    async def work(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        await bench.write(CALIBRATION)
        asked = [(request[0], request[1:2]) for request in bench.ecu.requests]
        assert (0x31, b"\xc5") in asked
        assert asked.index((0x31, b"\xc5")) > [sid for sid, _ in asked].index(0x34)

    at_me7_5(work)


def test_a_download_that_was_left_open_is_ended_and_changes_nothing() -> None:
    async def work(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        await bench.access.memory.erase(CALIBRATION)
        client = await bench.access.session.awake()
        await client.ask(request_download(CALIBRATION.start, CALIBRATION.size, 0x11))
        await bench.access.session.forget()
        await asyncio.sleep(10)
        await bench.access.lifecycle.open(Purpose.RECOVER)
        await bench.write(CALIBRATION, END)
        await bench.access.lifecycle.commit()
        assert bench.flash.read(CALIBRATION.start, CALIBRATION.size) == WANTED
        assert bench.flash.read(0x82_0000, 0x1000) == STOCK[0x2_0000:0x2_1000]

    at_me7_5(work)


@pytest.mark.parametrize(
    ("preconditions", "told"), [(0x01, "the engine runs"), (0x02, "immobiliser"), (0x04, "locked out")]
)
def test_an_ecu_that_cannot_be_programmed_now_says_so_before_anything_is_erased(
    preconditions: int, told: str
) -> None:
    async def work(bench: Bench) -> None:
        bench.told.preconditions = preconditions
        with pytest.raises(EcuRefusedError, match=told) as refused:
            await bench.access.lifecycle.open(Purpose.WRITE)
        assert refused.value.refusal is Refusal.CONDITIONS
        assert not any(request[0] in (0x10, 0x27, 0x31) for request in bench.ecu.requests)

    at_me7_5(work)


def test_a_boot_loader_is_not_asked_what_it_cannot_know() -> None:
    async def work(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        await bench.access.memory.erase(CALIBRATION)
        await bench.access.lifecycle.close()
        bench.ecu.requests.clear()
        assert await bench.access.lifecycle.state() is EcuState.BOOTLOADER
        await bench.access.lifecycle.open(Purpose.RECOVER)
        assert (0x1A, 0x9C) not in {(request[0], request[-1]) for request in bench.ecu.requests}

    at_me7_5(work)


def test_without_the_owners_text_nothing_is_sent() -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(PitboxError, match="me7_text"):
            await bench.access.lifecycle.open(Purpose.WRITE)
        assert bench.ecu.requests == []

    at_me7_5(work, {})


def test_the_wrong_text_is_found_by_the_ecu_and_not_taken_for_written() -> None:
    async def work(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        await bench.access.memory.erase(CALIBRATION)
        with pytest.raises(EcuRefusedError):
            await bench.access.memory.program(CALIBRATION, WANTED, lambda size: None)

    at_me7_5(work, {"me7_text": b"another text!"})
