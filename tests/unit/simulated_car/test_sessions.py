"""Sessions, timing, suppression and the order of negative responses."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.ecu.options import EcuOptions
from simulator.ecu.session import S3_SERVER_S

from .bench import CAL, CAL_SIZE, RawTester, build, on_virtual_time


def test_the_session_answer_carries_p2_and_p2_star() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        assert await tester.ask("10 03") == bytes.fromhex("50 03 0032 01F4")

    on_virtual_time(scenario)


@pytest.mark.parametrize(
    ("request_hex", "nrc"),
    [
        ("BA 01", 0x11),
        ("34 00 44 80010000 00001000", 0x7F),
        ("28 00", 0x7F),
        ("10", 0x13),
        ("10 55", 0x12),
        ("10 02", 0x7E),
        ("10 01 00", 0x13),
        ("22 F1", 0x13),
        ("22 12 34", 0x31),
        ("3E 01", 0x12),
        ("23 44 80000000 00000010", 0x7F),
        ("36 01", 0x7F),
        ("19 05", 0x12),
        ("19 02", 0x13),
        ("14 FF FF", 0x13),
        ("14 12 34 56", 0x31),
    ],
)
def test_refusals_in_the_default_session(request_hex: str, nrc: int) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        assert await tester.ask(request_hex) == bytes((0x7F, bytes.fromhex(request_hex)[0], nrc))

    on_virtual_time(scenario)


@pytest.mark.parametrize(
    ("request_hex", "nrc"),
    [
        ("23 44 80000000 00000010", 0x33),
        ("31 01 FF00 44 80010000 00001000", 0x31),
        ("31 01 0202 44 80010000 00001000", 0x33),
        ("31 02 0202", 0x12),
        ("36 01 00", 0x24),
        ("37", 0x24),
        ("27 02 00000000", 0x24),
        ("27 03", 0x12),
        ("27", 0x13),
        ("2E F190 41", 0x31),
        ("28 07 01", 0x12),
        ("28 00 09", 0x31),
        ("85 03", 0x12),
        ("29 08", 0x11),
    ],
)
def test_refusals_in_the_extended_session(request_hex: str, nrc: int) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        assert await tester.ask(request_hex) == bytes((0x7F, bytes.fromhex(request_hex)[0], nrc))

    on_virtual_time(scenario)


def test_the_session_ends_when_s3_runs_out_and_a_functional_keep_alive_holds_it() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        for _ in range(5):
            await asyncio.sleep(S3_SERVER_S - 0.5)
            tester.broadcast("3E 80")
        await asyncio.sleep(S3_SERVER_S - 0.5)
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 03")
        await asyncio.sleep(S3_SERVER_S + 0.1)
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 01")

    on_virtual_time(scenario)


def test_a_programming_session_that_runs_out_goes_back_to_the_application() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 02")
        await asyncio.sleep(S3_SERVER_S + 1)
        assert car.ecu.program is Program.APPLICATION
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 01")

    on_virtual_time(scenario)


def test_the_suppress_bit_silences_a_positive_answer_only() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        assert await tester.silent("3E 80")
        assert await tester.ask("10 D5") == b"\x7f\x10\x12"
        assert await tester.silent("10 83")
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 03")

    on_virtual_time(scenario)


def test_a_suppressed_answer_is_sent_after_all_once_response_pending_went_out() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        assert (await tester.ask("10 82"))[:2] == b"\x50\x02"
        assert tester.pending == 1

    on_virtual_time(scenario)


@pytest.mark.parametrize("request_hex", ["BA 01", "10 55", "22 1234", "28 00 01", "01 EE", "10 02"])
def test_these_refusals_stay_unsaid_when_everyone_was_asked(request_hex: str) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        assert (await tester.ask(request_hex))[0] == 0x7F
        tester.broadcast(request_hex)
        assert await tester.heard() is None

    on_virtual_time(scenario)


def test_other_refusals_are_said_when_everyone_was_asked() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        tester.broadcast("10 01 00")
        assert await tester.heard() == b"\x7f\x10\x13"
        tester.broadcast("22 F186")
        assert await tester.heard() == bytes.fromhex("62 F186 01")

    on_virtual_time(scenario)


def test_entering_the_bootloader_takes_its_boot_time_and_locks_security_again() -> None:
    definition = build(simulation={"boot_ms": 700.0})

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        await tester.unlock(1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await tester.ask("10 02"))[:2] == b"\x50\x02"
        assert 0.7 <= loop.time() - began < 0.72
        assert await tester.ask("23 44 80000000 00000010") == b"\x7f\x23\x33"

    on_virtual_time(scenario, definition)


def test_the_bootloader_offers_only_what_it_needs() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        offered = set()
        for sid in (*range(1, 0x10), *range(0x10, 0x3F), 0x85):
            answer = await tester.ask(bytes((sid,)))
            if answer != bytes((0x7F, sid, 0x11)):
                offered.add(sid)
        assert offered == {0x10, 0x11, 0x22, 0x23, 0x27, 0x2E, 0x31, 0x34, 0x36, 0x37, 0x3E}
        assert await tester.ask("22 F190") == b"\x7f\x22\x31"
        assert await tester.ask("22 F191") == b"\x62\xf1\x91BENCH-01"

    on_virtual_time(scenario)


def test_a_second_request_during_work_is_told_to_come_back() -> None:
    definition = build(simulation={"erase_ms_per_kib": 500.0})

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.link.send(bytes.fromhex("31 01 FF00 44 80010000 00004000"))
        assert await tester.link.receive(1) == b"\x7f\x31\x78"
        assert await tester.ask("22 F186") == b"\x7f\x22\x21"
        answers = [await tester.link.receive(10) for _ in range(3)]
        assert answers == [b"\x7f\x31\x78", b"\x7f\x31\x78", bytes.fromhex("71 01 FF00 00")]
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 02")

    on_virtual_time(scenario, definition)


def test_long_work_is_announced_within_p2_and_then_within_each_p2_star() -> None:
    definition = build(simulation={"erase_ms_per_kib": 2000.0})

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        loop = asyncio.get_running_loop()
        await tester.link.send(bytes.fromhex("31 01 FF00 44 80010000 00004000"))
        marks = [loop.time()]
        while (await tester.link.receive(10))[0] == 0x7F:
            marks.append(loop.time())
        gaps = [later - earlier for earlier, later in itertools.pairwise(marks)]
        assert gaps[0] < 0.05
        assert len(gaps) > 8
        assert max(gaps) < 5.0

    on_virtual_time(scenario, definition)


def test_thinking_time_delays_every_answer() -> None:
    settings = CarSettings(options={"bench-ecu": EcuOptions(response_delay_s=0.02)})

    async def scenario(car: Car, tester: RawTester) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await tester.ask("3E 00")
        assert 0.02 < loop.time() - began < 0.022

    on_virtual_time(scenario, settings=settings)


def test_certificates_instead_of_keys() -> None:
    settings = CarSettings(options={"bench-ecu": EcuOptions(authentication_only=True)})

    async def scenario(car: Car, tester: RawTester) -> None:
        assert await tester.ask("29 08") == b"\x69\x08\x02"
        assert (await tester.ask("22 F191"))[0] == 0x62
        await tester.ask("10 03")
        for request in ("10 02", "27 01", "31 01 FF00", "34 00 44 80010000 00001000", "2E F15A 00"):
            assert await tester.ask(request) == bytes((0x7F, bytes.fromhex(request)[0], 0x34))
        assert await tester.ask("29 01 00") == b"\x7f\x29\x52"

    async def without(car: Car, tester: RawTester) -> None:
        assert await tester.ask("29 08") == b"\x7f\x29\x11"

    on_virtual_time(scenario, settings=settings)
    on_virtual_time(without)


def test_reset_is_answered_first_and_the_ecu_is_deaf_while_it_boots() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        assert await tester.ask("11 01") == b"\x51\x01"
        await asyncio.sleep(0)
        assert car.ecu.program is Program.BOOTING
        with pytest.raises(TimeoutError):
            await tester.ask("3E 00", timeout_s=0.2)
        await asyncio.sleep(0.3)
        assert await tester.ask("3E 00") == b"\x7e\x00"

    on_virtual_time(scenario)


def test_preconditions_come_before_the_programming_session_where_the_definition_names_them() -> None:
    definition = build(
        sessions={
            "precondition_routine": 0x0203,
            "write_security": {"level": 3, "algorithm": "toy-add", "constant": 1},
        }
    )

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        assert await tester.ask("10 02") == b"\x7f\x10\x22"
        car.engine_running = True
        assert await tester.ask("31 01 0203") == b"\x7f\x31\x83"
        car.engine_running = False
        assert await tester.ask("31 01 0203") == bytes.fromhex("71 01 0203 00")
        assert (await tester.ask("10 02"))[0] == 0x50

    on_virtual_time(scenario, definition)


def test_only_the_erased_calibration_is_gone_after_an_erase() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        before = car.ecu.memory.whole()
        await tester.enter_programming()
        assert await tester.erase(CAL, CAL_SIZE) == bytes.fromhex("71 01 FF00 00")
        assert car.ecu.memory.whole() == before[:-CAL_SIZE] + b"\xff" * CAL_SIZE

    on_virtual_time(scenario)
