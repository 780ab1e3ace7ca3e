"""Steps as data over the wire: three kinds of ECU, each against a strict simulated one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.step_kinds import Download, Wait
from appliance.engine.owner_secrets import secrets_of
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from appliance.protocols.access import (
    AccessError,
    Block,
    EcuRefusedError,
    EcuState,
    NotBegunError,
    Purpose,
    Refusal,
)
from appliance.protocols.isotp.link import SoftIsoTpLink
from appliance.protocols.transforms import SecretNamed
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.addressing import functional_address, link_settings, physical_address
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.steps.download import around
from appliance.protocols.uds.timing import UdsTiming
from appliance.protocols.uds.wire import Wire
from appliance.vault.owner_secrets import Place
from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.support.definitions import raw, validated

from .scripted import Step, asked
from .uds_bench import IN_SESSION, PRESENT, SESSION_ANSWER, run

T = TypeVar("T")
NAMES = ("pbx-v381", "pbx-vb60", "pbx-p179", "pbx-q250")
V381, VB60, P179, Q250 = (load_definition(PACKS / f"{name}.toml") for name in NAMES)


@dataclass(frozen=True, slots=True)
class Bench:
    """A car, the access to its ECU, and every request that the ECU got."""

    car: Car
    access: UdsAccess
    asked: list[bytes]

    def blocks(self) -> list[Block]:
        """Every block that can be written, in the order that the ECU wants."""
        last = uds_access(self.car.ecu.definition).recovery.last
        return [
            Block(region.name, sector, region.block_id)
            for region in sorted(self.car.ecu.definition.regions, key=lambda one: one.name in last)
            if region.writable
            for sector in region.sector_ranges()
        ]

    def content(self, block: Block) -> bytes:
        return self.car.ecu.memory.read(block.start, block.size)

    async def rewrite(self, block: Block, data: bytes) -> int:
        """Erase and program; the bytes that progress counted."""
        counted: list[int] = []
        await self.access.memory.erase(block)
        await self.access.memory.program(block, data, counted.append)
        return sum(counted)


def nothing_stored(place: Place) -> bytes | None:
    return None


def on_bench(name: str, scenario: Callable[[Bench], Awaitable[T]], secret: SecretNamed | None = None) -> T:
    definition = load_definition(PACKS / f"{name}.toml")
    how = uds_access(definition)

    async def main() -> T:
        car = Car((definition,), wires_for(definition), CarSettings(seed=7, finish=with_right_checksums))
        bus = car.bus
        asked: list[bytes] = []
        car.ecu.request_hook = asked.append
        car.power_up()
        port, settings = bus.attach("tester"), link_settings(how)
        physical = SoftIsoTpLink(port, physical_address(how.addressing), settings)
        functional = SoftIsoTpLink(port, functional_address(how.addressing), settings)
        client = UdsClient(physical, functional, UdsTiming.of(how.timing))
        own = secret or secrets_of(definition, nothing_stored, simulated=True)
        await asyncio.sleep(1.0)
        try:
            wire = Wire(SimulatedCarInterface(car, definition), how, port, client)
            access = UdsAccess(how, client, definition, own, wire=wire)
            return await scenario(Bench(car, access, asked))
        finally:
            await client.close()
            car.close()

    return run_virtual(main())


@pytest.mark.parametrize("at", range(4))
def test_every_step_of_a_block_is_done_around_its_download_and_none_is_left_out(at: int) -> None:
    pauses = [Wait(verb="wait", seconds=one) for one in (1, 2, 3)]
    download = Download(verb="download", open="34 00 44 {start:4} {size:4}")
    before, after = around(Download, [*pauses[:at], download, *pauses[at:]])
    assert [*before, *after] == pauses and len(before) == at


@pytest.mark.parametrize("name", NAMES)
def test_an_ecu_of_its_own_kind_is_read_written_and_put_to_use(name: str) -> None:
    async def scenario(bench: Bench) -> None:
        access, car = bench.access, bench.car
        await access.lifecycle.open(Purpose.READ)
        for block in bench.blocks():
            assert await access.memory.read(block.place) == bench.content(block)
        await access.lifecycle.close()
        await asyncio.sleep(2)
        assert await access.lifecycle.state() is EcuState.APPLICATION
        await access.lifecycle.open(Purpose.WRITE)
        for block in bench.blocks():
            data = bench.content(block)
            assert await bench.rewrite(block, data) == block.size
            assert bench.content(block) == data
            assert await access.memory.proves_equal(block, data) in (True, None)
        assert not car.ecu.records.application_valid
        await access.lifecycle.commit()
        assert car.ecu.program is Program.APPLICATION

    on_bench(name, scenario)


@pytest.mark.parametrize("name", NAMES)
def test_after_a_power_cut_in_a_block_the_same_way_leads_back(name: str) -> None:
    async def scenario(bench: Bench) -> None:
        access, car = bench.access, bench.car
        await access.lifecycle.open(Purpose.WRITE)
        contents = [(block, bench.content(block)) for block in bench.blocks()]
        first, data = contents[0]
        await access.memory.erase(first)
        cut = asyncio.get_running_loop().call_later(0.2, car.power_cut)
        with pytest.raises(AccessError):
            await access.memory.program(first, data, lambda count: None)
        cut.cancel()
        car.connect()
        await asyncio.sleep(1)
        assert await access.lifecycle.state() is EcuState.BOOTLOADER
        await access.lifecycle.open(Purpose.RECOVER)
        for block, content in contents:
            await bench.rewrite(block, content)
        await access.lifecycle.commit()
        assert [bench.content(block) for block, _ in contents] == [content for _, content in contents]
        assert car.ecu.program is Program.APPLICATION

    on_bench(name, scenario)


def test_what_travels_is_counted_apart_from_what_is_stored() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        block = bench.blocks()[0]
        assert await bench.rewrite(block, bytes(block.size)) == block.size
        meter = bench.access.memory.meter()
        assert meter.sent_memory_bytes == block.size
        assert meter.sent_bytes % 16 == 0
        assert meter.sent_per_memory < 0.1
        sent = [request for request in bench.asked if request[0] == 0x36]
        assert sum(len(request) - 2 for request in sent) == meter.sent_bytes

    on_bench("pbx-v381", scenario)


def test_a_block_that_is_replaced_in_place_is_never_erased() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        block = bench.blocks()[-1]
        assert block.region == "parameters"
        await bench.rewrite(block, bytes(block.size))
        assert bench.content(block) == bytes(block.size)
        assert not [request for request in bench.asked if request.startswith(bytes.fromhex("3101FF00"))]

    on_bench("pbx-v381", scenario)


def test_a_status_is_what_the_ecu_says_of_itself() -> None:
    async def scenario(bench: Bench) -> None:
        assert uds_access(V381).proof == "status"
        await bench.access.lifecycle.open(Purpose.WRITE)
        block = bench.blocks()[1]
        wrong = bytes([bench.content(block)[0] ^ 1]) + bench.content(block)[1:]
        await bench.rewrite(block, wrong)
        assert await bench.access.memory.proves_equal(block, wrong) is False

    on_bench("pbx-v381", scenario)


def test_a_loader_that_runs_is_not_uploaded_again() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        loaded = [request for request in bench.asked if request[0] == 0x34]
        assert len(loaded) == 2, "one for each block of the container"
        await bench.access.lifecycle.open(Purpose.WRITE)
        assert [request for request in bench.asked if request[0] == 0x34] == loaded
        await bench.rewrite(bench.blocks()[0], bench.content(bench.blocks()[0]))

    on_bench("pbx-vb60", scenario)


def test_the_bus_is_told_to_be_quiet_before_the_jump() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        jump = bench.asked.index(bytes.fromhex("1002"))
        assert bench.asked[:jump].count(bytes.fromhex("1082")) == 20

    on_bench("pbx-vb60", scenario)


@pytest.mark.parametrize("name", ["pbx-vb60", "pbx-v381"])
def test_without_the_owners_secret_nothing_is_sent(name: str) -> None:
    def missing(secret: str) -> bytes:
        definition = load_definition(PACKS / f"{name}.toml")
        return secrets_of(definition, nothing_stored, simulated=False)(secret)

    async def scenario(bench: Bench) -> None:
        with pytest.raises(PitboxError) as caught:
            await bench.access.lifecycle.open(Purpose.WRITE)
        assert caught.value.code == "SECRET_MISSING"
        assert f"--definition {name}" in caught.value.do_now and "pitbox secrets put" in caught.value.do_now
        assert bench.asked == []

    on_bench(name, scenario, missing)


def test_only_the_owners_own_file_is_taken() -> None:
    right = bytes.fromhex(VB60.twin.secrets["sbl"])
    for content in (right[:-1] + b"\0", bytes(0x4001)):
        with pytest.raises(PitboxError) as caught:
            secrets_of(VB60, lambda place, value=content: value, simulated=False)("sbl")
        assert caught.value.code == "SECRET_WRONG"
        assert f"pitbox secrets put sbl FILE --definition {VB60.id}" in caught.value.do_now
    assert secrets_of(VB60, lambda place: right, simulated=False)("sbl") == right


def test_the_same_request_is_asked_until_its_status_changes() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        block = bench.blocks()[0]
        await bench.access.memory.erase(block)
        erases = [request for request in bench.asked if request == bytes.fromhex("3101FF0082F05A")]
        assert len(erases) == block.size // 0x2000
        assert bench.content(block) == b"\xff" * block.size

    on_bench("pbx-p179", scenario)


def test_an_ecu_that_is_never_done_ends_in_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    from simulator.ecu.makes.psa import Psa

    async def never(_self: object, request: bytes, _region: object) -> bytes:
        return b"\x71" + request[1:4] + b"\x01"

    monkeypatch.setattr(Psa, "_erase", never)

    async def scenario(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        with pytest.raises(EcuRefusedError) as caught:
            await bench.access.memory.erase(bench.blocks()[0])
        assert caught.value.refusal is Refusal.BUSY
        assert sum(request[:4] == bytes.fromhex("3101FF00") for request in bench.asked) == 300

    on_bench("pbx-p179", scenario)


def test_a_sum_behind_37_that_is_another_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    from simulator.ecu.makes.vbf import Vbf

    exit_ = Vbf._exit
    monkeypatch.setattr(Vbf, "_exit", lambda self, request: exit_(self, request)[:-1] + b"\x5a")

    async def scenario(bench: Bench) -> None:
        with pytest.raises(EcuRefusedError) as caught:
            await bench.access.lifecycle.open(Purpose.WRITE)
        assert caught.value.refusal is Refusal.PROGRAMMING
        assert not isinstance(caught.value, NotBegunError)

    on_bench("pbx-vb60", scenario)


def on_scripted(
    pack: str, changes: dict[str, object], scenario: Callable[[UdsAccess], Awaitable[T]], *steps: Step
) -> T:
    tables = raw(load_definition(PACKS / f"{pack}.toml"))
    tables["access"][0]["steps"] |= changes
    return run(validated(tables), scenario, *steps)


def test_what_is_done_always_is_done_after_a_failure_too_and_never_fails_itself() -> None:
    always = [
        {"verb": "request", "send": "31 01 0F 0C 00", "may_fail": True},
        {"verb": "request", "send": "2E 12 34 00"},
    ]
    opening = [{"verb": "session", "number": 2}, {"verb": "request", "send": "31 01 02 06", "good": "00"}]

    async def scenario(access: UdsAccess) -> None:
        with pytest.raises(EcuRefusedError) as caught:
            await access.lifecycle.open(Purpose.WRITE)
        assert caught.value.refusal is Refusal.CONDITIONS
        await access.lifecycle.close()

    on_scripted(
        "pbx-p179",
        {"open": opening, "always": always},
        scenario,
        asked("10 02", f"50 02 {SESSION_ANSWER}"),
        asked("31 01 0206", "71 01 0206 02"),
        PRESENT,
        asked("31 01 0F0C 00", "7F 31 31"),
        IN_SESSION,
        asked("2E 1234 00", "7F 2E 31"),
        asked("28 00 01", "68 00"),
        asked("85 01", "C5 01"),
        asked("10 01", f"50 01 {SESSION_ANSWER}"),
    )
