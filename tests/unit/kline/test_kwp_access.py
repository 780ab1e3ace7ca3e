"""The capabilities over KWP2000, against the two strict kinds of ECU."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from appliance.contract.places import Range
from appliance.definitions.schema import Definition
from appliance.protocols.access import (
    Block,
    Dtc,
    EcuRefusedError,
    EcuSilentError,
    EcuState,
    LinkLostError,
    Purpose,
    Refusal,
)
from appliance.protocols.kwp2000.access import KwpAccess
from appliance.protocols.kwp2000.client import MisfitAnswerError
from appliance.protocols.kwp2000.session import KwpSession
from appliance.protocols.kwp2000.waking import SlowWake, wake_slowly
from drivers.kline.simulated import SimulatedKLine
from simulator.kline.answering import AnswerFault
from simulator.kline.ecu import Phase
from simulator.virtualtime import run_virtual
from tests.support.kwp_box import KwpCar, right, stock
from tests.support.kwp_definition import SECTOR_BYTES, START, edc15_kind, how_of, me7_kind

KINDS = {"me7": me7_kind(), "edc15": edc15_kind()}
BLOCK = Block("main", Range("flash", START + SECTOR_BYTES, SECTOR_BYTES))
LAST = Block("main", Range("flash", START + 3 * SECTOR_BYTES, SECTOR_BYTES))
"""It holds the checksum of all of them."""
WANTED = bytes(range(256)) * (SECTOR_BYTES // 256)
Work = Callable[[KwpCar, KwpAccess], Coroutine[Any, Any, None]]


def at_ecu(definition: Definition, work: Work, **changed: object) -> None:
    async def run() -> None:
        car = KwpCar(definition, **changed)
        session = KwpSession(SimulatedKLine(car.wire.attach("box")), how_of(definition), definition.id)
        await work(car, KwpAccess(session, definition))

    run_virtual(run())


def nothing_more(size: int) -> None:
    """Of progress."""


async def write(access: KwpAccess, block: Block = BLOCK, data: bytes = WANTED) -> None:
    await access.memory.erase(block)
    await access.memory.program(block, data, nothing_more)


@pytest.mark.parametrize("kind", KINDS)
def test_who_it_is_is_told_before_anything_is_opened(kind: str) -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        assert await access.lifecycle.state() is EcuState.APPLICATION
        told = await access.identity.identify()
        twin = KINDS[kind].twin
        assert (told.hw, told.sw, told.boot) == (twin.hw, twin.sw, twin.boot)
        assert (told.serial, told.vin) == (twin.serial, twin.vin)
        stored = tuple(Dtc(code.partition("-")[0], 0xE0) for code in twin.dtcs)
        assert stored and await access.diagnostics.read_dtcs() == stored
        await access.diagnostics.clear_dtcs()
        assert await access.diagnostics.read_dtcs() == ()
        await access.lifecycle.close()
        assert car.line.phase is Phase.ASLEEP and car.line.violations == []

    at_ecu(KINDS[kind], work)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("upwards", [True, False])
def test_all_memory_is_read_and_no_rule_broken(kind: str, upwards: bool) -> None:
    definition = KINDS[kind]

    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.READ)
        whole = definition.regions[0].place
        assert await access.memory.read(whole, upwards=upwards) == stock(definition)
        assert car.line.violations == []

    at_ecu(definition, work)


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_is_erased_written_and_committed(kind: str) -> None:
    definition = KINDS[kind]

    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        await write(access)
        assert await access.memory.proves_equal(BLOCK, WANTED) is None
        assert await access.memory.read(BLOCK.place) == WANTED
        await write(access, LAST, right(definition, car.memory)[-SECTOR_BYTES:])
        await access.lifecycle.commit()
        assert car.flash.read(BLOCK.start, BLOCK.size) == WANTED
        assert car.server.routines.erased == [BLOCK.start, LAST.start]
        assert car.line.violations == []

    at_ecu(definition, work)


def test_a_rate_that_the_ecu_refuses_leaves_the_one_it_has() -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        assert car.line.rate_bps == access.session.line.rate_bps == 10_400
        await write(access)

    at_ecu(edc15_kind(), work)


def test_a_rate_that_the_ecu_has_is_used_until_the_end() -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        assert car.line.rate_bps == access.session.line.rate_bps == 124_800
        await access.lifecycle.close()
        assert car.line.rate_bps == 10_400
        assert await access.lifecycle.state() is EcuState.APPLICATION

    at_ecu(me7_kind(), work)


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_that_drops_during_the_erase_is_taken_up_again(kind: str) -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        await write(access)
        assert car.flash.read(BLOCK.start, BLOCK.size) == WANTED
        assert car.server.routines.erased == [BLOCK.start]

    at_ecu(KINDS[kind], work, drops_after_erase=True, erase_s_per_byte=8.0 / SECTOR_BYTES)


def test_an_erase_whose_answer_was_lost_is_not_called_done() -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        car.line.faults.append(AnswerFault("lost"))
        with pytest.raises(EcuSilentError, match="C4 was lost"):
            await access.memory.erase(BLOCK)
        await access.lifecycle.open(Purpose.RECOVER)
        await write(access)
        assert car.flash.read(BLOCK.start, BLOCK.size) == WANTED

    at_ecu(me7_kind(), work)


def test_a_half_written_ecu_answers_as_its_bootloader() -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        await access.memory.erase(BLOCK)
        with pytest.raises(EcuRefusedError, match="bootloader"):
            await access.lifecycle.commit()
        told = await access.identity.identify()
        assert (told.hw, told.sw) == ("PBX-K7-01", None)

    at_ecu(me7_kind(), work)


def test_a_block_that_the_ecu_finds_wrong_is_refused() -> None:
    """A bit of the flash does not take what it is given."""

    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        await access.memory.erase(BLOCK)
        program = car.flash.program

        def lying(start: int, data: bytes) -> bool:
            return program(start, bytes((data[0] & 0xFE,)) + data[1:])

        car.flash.program = lying  # type: ignore[method-assign]
        with pytest.raises(EcuRefusedError) as refused:
            await access.memory.program(BLOCK, bytes((0xFF,)) * BLOCK.size, nothing_more)
        assert refused.value.refusal is Refusal.PROGRAMMING

    at_ecu(me7_kind(), work)


def test_an_erase_that_never_ends_is_given_up_when_its_longest_time_is_over() -> None:
    definition = me7_kind()
    longest_s = how_of(definition).erasing.longest_s

    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(EcuRefusedError, match="routineNotComplete"):
            await access.memory.erase(BLOCK)
        assert longest_s <= asyncio.get_running_loop().time() - began_s < longest_s + 2
        assert car.server.routines.erased == []

    at_ecu(definition, work, erase_s_per_byte=3 * longest_s / SECTOR_BYTES)


def test_a_routine_that_has_failed_is_not_asked_again() -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        await access.memory.erase(BLOCK)
        program, asked = car.flash.program, len(car.line.requests)
        car.flash.program = lambda start, data: program(start, bytes(len(data)))  # type: ignore[method-assign]
        with pytest.raises(EcuRefusedError, match="7F 33 77"):
            await access.memory.program(BLOCK, WANTED, nothing_more)
        told = [request for request in car.line.requests[asked:] if request[0] == 0x33]
        assert len(told) == 1

    at_ecu(me7_kind(), work, check_s=0.0)


def test_nobody_there_is_silence() -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        car.line.set_rate(9_600)
        assert await access.lifecycle.state() is EcuState.SILENT
        with pytest.raises(EcuSilentError):
            await access.identity.identify()

    at_ecu(edc15_kind(), work)


def test_an_ecu_that_another_life_left_awake_and_fast_is_woken_once_it_sleeps() -> None:
    definition = me7_kind()

    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        client = access.session.client
        assert client is not None and car.line.rate_bps == 124_800
        await client.release_session()
        other = KwpSession(SimulatedKLine(car.wire.attach("box again")), how_of(definition), definition.id)
        assert await KwpAccess(other, definition).lifecycle.state() is EcuState.APPLICATION

    at_ecu(definition, work)


@pytest.mark.parametrize("purpose", [Purpose.READ, Purpose.WRITE])
@pytest.mark.parametrize(("kind", "rate_bps"), [("me7", 124_800), ("edc15", 10_400)])
def test_reading_and_writing_reach_95_percent_of_what_the_wire_carries(
    kind: str, rate_bps: int, purpose: Purpose
) -> None:
    """For the P4 and the P2 that the ECU gives; requests, P2 and P3 are in the ceiling."""
    definition = KINDS[kind]

    async def work(car: KwpCar, access: KwpAccess) -> None:
        await access.lifecycle.open(purpose)
        if purpose is Purpose.READ:
            await access.memory.read(definition.regions[0].place)
        else:
            await write(access)
        meter = access.memory.meter()
        assert meter.bitrate_bps == rate_bps
        assert 0.95 <= meter.payload_bytes / meter.busy_s / meter.ceiling_bytes_per_s <= 1.0001
        assert car.line.violations == []

    at_ecu(definition, work)


def test_a_wake_up_that_a_byte_spoilt_counts_as_a_lost_link() -> None:
    """So that a half-written ECU is woken again, and not erased once more for it."""

    async def work(car: KwpCar, access: KwpAccess) -> None:
        car.wire.fault = lambda byte: setattr(byte, "value", 0x54 if byte.value == 0x55 else byte.value)
        with pytest.raises(LinkLostError, match="no synch byte"):
            await access.lifecycle.open(Purpose.WRITE)

    at_ecu(me7_kind(), work)


def test_the_owners_algorithm_is_told_of_which_definition_it_is() -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        told: list[object] = []
        session, known = access.session, access.session._algorithms[0x01]

        def watched(level: int, seed: bytes, context: Mapping[str, str]) -> bytes:
            told.append(context["definition"])
            return known(level, seed, context)

        session._algorithms[0x01] = watched
        await access.lifecycle.open(Purpose.READ)
        assert told == [car.definition.id]

    at_ecu(me7_kind(), work)


def test_a_seed_of_another_length_is_no_seed_and_costs_no_key() -> None:
    definition = me7_kind()
    (way,) = definition.accesses
    wrong = how_of(definition).sessions.write_security.model_copy(update={"seed_bytes": 2})
    sessions = how_of(definition).sessions.model_copy(update={"write_security": wrong})
    other = definition.model_copy(update={"accesses": (way.model_copy(update={"sessions": sessions}),)})

    async def work(car: KwpCar, access: KwpAccess) -> None:
        with pytest.raises(MisfitAnswerError, match="a seed of 4 bytes instead of 2"):
            await access.lifecycle.open(Purpose.WRITE)
        assert not [request for request in car.line.requests if request[:2] == b"\x27\x02"]

    at_ecu(other, work)


def test_an_ecu_that_takes_no_such_header_is_not_talked_to() -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        with pytest.raises(LinkLostError, match="does not take headers of this form"):
            await access.lifecycle.open(Purpose.READ)
        assert not [request for request in car.line.requests if request[0] != 0x82]

    at_ecu(me7_kind(), work, key_bytes=(0xE5, 0x8F))


def test_a_header_that_the_key_bytes_do_not_allow_is_held_against_the_tester() -> None:
    async def work(car: KwpCar, access: KwpAccess) -> None:
        line = SimulatedKLine(car.wire.attach("hasty"))
        await wake_slowly(line, SlowWake(0x01))
        await asyncio.sleep(0.06)
        await line.send(bytes.fromhex("8110F13EC0"), 0.005)
        await asyncio.sleep(0.2)
        assert car.line.violations == ["a header that the key bytes do not allow"]

    at_ecu(me7_kind(), work, key_bytes=(0xE5, 0x8F))
