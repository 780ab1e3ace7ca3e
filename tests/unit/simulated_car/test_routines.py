"""Checks, dependencies and the validity flag, and the supply's window."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.ecu.options import EcuOptions

from .bench import CAL, CAL_SIZE, RawTester, build, build_by_block, on_virtual_time, span

GOOD = bytes.fromhex("71 01 FF01 00")
BAD = bytes.fromhex("71 01 FF01 02")


async def rewrite(car: Car, tester: RawTester, image: bytes) -> None:
    await tester.enter_programming()
    await tester.erase(CAL, CAL_SIZE)
    await tester.download(CAL, image)


@pytest.mark.parametrize(("start", "size"), [(CAL, CAL_SIZE), (0x8000_0000, 1), (CAL - 7, 77)])
def test_the_hash_is_the_crc_32_of_the_span(start: int, size: int) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        expected = zlib.crc32(car.ecu.memory.read(start, size)).to_bytes(4, "big")
        request = bytes.fromhex("31 01 0202 44") + span(start, size)
        await tester.ask("10 03")
        await tester.unlock(1)
        assert await tester.ask(request) == bytes.fromhex("71 01 0202") + expected
        await tester.ask("10 02")
        assert await tester.ask(request) == b"\x7f\x31\x33"
        await tester.unlock(3)
        assert await tester.ask(request) == bytes.fromhex("71 01 0202") + expected
        assert await tester.ask(request + b"\x00") == b"\x7f\x31\x13"

    on_virtual_time(scenario)


def test_hashing_takes_its_time() -> None:
    definition = build(simulation={"hash_ms_per_kib": 10.0})

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await tester.ask(bytes.fromhex("31 01 0202 44") + span(CAL, CAL_SIZE))
        assert 0.16 < loop.time() - began < 0.17

    on_virtual_time(scenario, definition)


def test_a_block_is_compared_with_the_crc_given() -> None:
    definition = build_by_block()

    async def scenario(car: Car, tester: RawTester) -> None:
        crc = zlib.crc32(car.ecu.memory.read(CAL, CAL_SIZE))
        head = bytes.fromhex("31 01 0202 01 03 0004")
        await tester.enter_programming()
        assert await tester.ask(head + crc.to_bytes(4, "big")) == bytes.fromhex("71 01 0202 00")
        assert await tester.ask(head + (crc ^ 1).to_bytes(4, "big")) == bytes.fromhex("71 01 0202 02")
        assert await tester.ask(bytes.fromhex("31 01 0202 01 09 0004 00000000")) == b"\x7f\x31\x31"

    on_virtual_time(scenario, definition)


def test_a_changed_image_with_a_right_checksum_starts() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        changed = bytearray(car.ecu.memory.read(CAL, CAL_SIZE))
        changed[100] ^= 0x55
        changed[-4:] = zlib.crc32(changed[:-4]).to_bytes(4, "big")
        await rewrite(car, tester, bytes(changed))
        assert await tester.ask("31 01 FF01") == GOOD

    on_virtual_time(scenario)


def test_a_wrong_checksum_keeps_the_bootloader() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        image = car.ecu.memory.read(CAL, CAL_SIZE)
        changed = bytes((image[0] ^ 1,)) + image[1:]
        await rewrite(car, tester, changed)
        assert await tester.ask("31 01 FF01") == BAD
        await tester.ask("11 01")
        await asyncio.sleep(1)
        assert car.ecu.program is Program.BOOTLOADER
        await tester.ask("10 02")
        await tester.unlock(3)
        await tester.erase(CAL, CAL_SIZE)
        await tester.download(CAL, image)
        assert await tester.ask("31 01 FF01") == GOOD

    on_virtual_time(scenario)


def test_an_incomplete_region_keeps_the_bootloader_even_when_its_bytes_are_right() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        image = car.ecu.memory.read(CAL, CAL_SIZE)
        await tester.enter_programming()
        await tester.erase(CAL, CAL_SIZE)
        await tester.download(CAL, image[:0x1000])
        car.ecu.memory.force(CAL, image)
        assert await tester.ask("31 01 FF01") == BAD
        assert not car.ecu.records.application_valid

    on_virtual_time(scenario)


def test_without_the_dependency_check_a_written_ecu_stays_in_its_bootloader() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await rewrite(car, tester, car.ecu.memory.read(CAL, CAL_SIZE))
        await tester.ask("11 01")
        await asyncio.sleep(1)
        assert car.ecu.program is Program.BOOTLOADER

    on_virtual_time(scenario)


def test_an_ecu_without_that_routine_judges_itself_when_it_starts() -> None:
    definition = build(checking={"dependencies_routine": None})

    async def scenario(car: Car, tester: RawTester) -> None:
        await rewrite(car, tester, car.ecu.memory.read(CAL, CAL_SIZE))
        await tester.ask("11 01")
        await asyncio.sleep(1)
        assert car.ecu.program is Program.APPLICATION

    on_virtual_time(scenario, definition)


def test_a_check_of_the_owner_is_asked_too() -> None:
    settings = CarSettings(
        options={"bench-ecu": EcuOptions(image_check=lambda image: image[-CAL_SIZE] != 0x42)}
    )
    definition = build(checksum={"module": "sum32-at"})

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        assert await tester.ask("31 01 FF01") == GOOD
        car.ecu.memory.force(CAL, b"\x42")
        assert await tester.ask("31 01 FF01") == BAD

    on_virtual_time(scenario, definition, settings)


def test_the_result_of_an_erase_can_be_asked_for() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        assert await tester.ask("31 03 FF00") == b"\x7f\x31\x24"
        await tester.erase(CAL, 0x1000)
        assert await tester.ask("31 03 FF00") == bytes.fromhex("71 03 FF00 00")

    on_virtual_time(scenario)


@pytest.mark.parametrize(
    ("start", "size"), [(CAL + 1, 0x1000), (CAL, 0xFFF), (0x8000_0000, 0x1000), (CAL, 0)]
)
def test_only_whole_writable_sectors_are_erased(start: int, size: int) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        before = car.ecu.memory.whole()
        await tester.enter_programming()
        assert await tester.erase(start, size) == b"\x7f\x31\x31"
        assert car.ecu.memory.whole() == before

    on_virtual_time(scenario)


@pytest.mark.parametrize(("volts", "nrc"), [(11.9, 0x93), (14.9, 0x92)])
def test_outside_the_window_nothing_begins_and_programming_pauses(volts: float, nrc: int) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        car.battery.set_level(volts)
        assert await tester.ask("10 02") == bytes((0x7F, 0x10, nrc))
        car.battery.set_level(13.5)
        await tester.enter_programming()
        car.battery.set_level(volts)
        assert await tester.erase(CAL, 0x1000) == bytes((0x7F, 0x31, nrc))
        assert car.ecu.records.application_valid
        car.battery.set_level(13.5)
        await tester.erase(CAL, 0x1000)
        car.battery.set_level(volts)
        request = bytes.fromhex("34 00 44") + span(CAL, 0x20)
        assert await tester.ask(request) == bytes((0x7F, 0x34, nrc))
        car.battery.set_level(13.5)
        assert (await tester.ask(request))[0] == 0x74
        car.battery.set_level(volts)
        assert await tester.ask(b"\x36\x01" + bytes(16)) == bytes((0x7F, 0x36, nrc))
        car.battery.set_level(13.5)
        assert await tester.ask(b"\x36\x01" + bytes(16)) == b"\x76\x01"

    on_virtual_time(scenario)


def test_the_ecu_tells_its_supply() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        car.battery.set_level(12.3)
        assert await tester.ask("22 F442") == bytes.fromhex("62 F442 7B")

    on_virtual_time(scenario)
