"""The supply fails at any byte: memory keeps exactly what was done, and the right program answers then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.ecu.watch import Counter
from simulator.virtualtime import run_virtual

from .bench import CAL, CAL_SIZE, RawTester, build, on_virtual_time, running, span

SECTOR = 0x1000


async def back_in_bootloader(car: Car, tester: RawTester) -> None:
    car.power_up()
    await asyncio.sleep(1)
    assert car.ecu.program is Program.BOOTLOADER
    assert await tester.ask("22 F186") == bytes.fromhex("62 F186 01")
    assert (await tester.ask("10 02"))[:2] == b"\x50\x02"
    assert await tester.unlock(3) == b"\x67\x04"


async def finish(car: Car, tester: RawTester, image: bytes) -> None:
    await tester.erase(CAL, CAL_SIZE)
    await tester.download(CAL, image)
    assert await tester.ask("31 01 FF01") == bytes.fromhex("71 01 FF01 00")
    await tester.ask("11 01")
    await asyncio.sleep(1)
    assert car.ecu.program is Program.APPLICATION
    assert car.ecu.memory.read(CAL, CAL_SIZE) == image


@settings(max_examples=20, deadline=None)
@given(st.integers(1, CAL_SIZE))
def test_a_cut_at_any_programmed_byte_keeps_all_bytes_before_it_and_can_be_recovered(cut: int) -> None:
    async def main() -> None:
        async with running() as (car, tester):
            image = car.ecu.memory.read(CAL, CAL_SIZE)
            await tester.enter_programming()
            await tester.erase(CAL, CAL_SIZE)
            car.ecu.core.watch.at(Counter.PROGRAMMED, cut, lambda address: car.power_cut())
            with pytest.raises((ConnectionError, TimeoutError)):
                await tester.download(CAL, image)
            assert car.ecu.memory.read(CAL, CAL_SIZE) == image[:cut].ljust(CAL_SIZE, b"\xff")
            await back_in_bootloader(car, tester)
            await finish(car, tester, image)

    run_virtual(main())


@settings(max_examples=20, deadline=None)
@given(st.integers(1, CAL_SIZE))
def test_a_cut_at_any_erased_byte_leaves_whole_sectors_garbage_or_untouched(cut: int) -> None:
    async def main() -> None:
        async with running() as (car, tester):
            image = car.ecu.memory.read(CAL, CAL_SIZE)
            await tester.enter_programming()
            car.ecu.core.watch.at(Counter.ERASED, cut, lambda address: car.power_cut())
            with pytest.raises((ConnectionError, TimeoutError)):
                await tester.erase(CAL, CAL_SIZE)
            for index in range(4):
                now = car.ecu.memory.read(CAL + index * SECTOR, SECTOR)
                before = image[index * SECTOR : (index + 1) * SECTOR]
                if cut >= (index + 1) * SECTOR:
                    assert now == b"\xff" * SECTOR
                elif cut <= index * SECTOR:
                    assert now == before
                else:
                    assert now not in (before, b"\xff" * SECTOR)
            await back_in_bootloader(car, tester)
            refused = await tester.ask(bytes.fromhex("34 00 44") + span(CAL, CAL_SIZE))
            assert refused == b"\x7f\x34\x70"
            await finish(car, tester, image)

    run_virtual(main())


@pytest.mark.parametrize("after_s", [0.002, 0.031, 0.063])
def test_a_cut_at_any_moment_keeps_what_time_allowed(after_s: float) -> None:
    definition = build(simulation={"erase_ms_per_kib": 4.0})

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.link.send(bytes.fromhex("31 01 FF00 44") + span(CAL, CAL_SIZE))
        await asyncio.sleep(after_s)
        car.power_cut()
        memory = car.ecu.memory
        erased = [memory.read(CAL + at * SECTOR, SECTOR) == b"\xff" * SECTOR for at in range(4)]
        assert erased == [after_s > 0.016 * (at + 1) for at in range(4)]
        after = memory.whole()
        await asyncio.sleep(10)
        assert memory.whole() == after

    on_virtual_time(scenario, definition)


def test_half_a_page_stays_half_a_page() -> None:
    definition = build(simulation={"program_ms_per_kib": 100.0})

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.erase(CAL, SECTOR)
        await tester.ask(bytes.fromhex("34 00 44") + span(CAL, SECTOR))
        await tester.link.send(b"\x36\x01" + b"\x00" * 256)
        await asyncio.sleep(0.0125)
        car.power_cut()
        page = car.ecu.memory.read(CAL, 256)
        assert page == b"\x00" * page.count(0) + b"\xff" * (256 - page.count(0))
        assert 100 < page.count(0) < 156

    on_virtual_time(scenario, definition)


def test_an_ecu_that_needs_its_application_is_silent_after_a_cut_and_until_then_it_answers() -> None:
    definition = build(recovery={"recoverability": "bench"})

    async def scenario(car: Car, tester: RawTester) -> None:
        image = car.ecu.memory.read(CAL, CAL_SIZE)
        await tester.enter_programming()
        await tester.erase(CAL, CAL_SIZE)
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 02")
        car.power_cut()
        await asyncio.sleep(1)
        car.power_up()
        await asyncio.sleep(5)
        assert car.ecu.program is Program.SILENT
        with pytest.raises((ConnectionError, TimeoutError)):
            await tester.ask("3E 00")
        assert image != car.ecu.memory.read(CAL, CAL_SIZE)

    on_virtual_time(scenario, definition)


def test_a_new_process_finds_the_ecu_as_the_old_one_left_it(tmp_path: Path) -> None:
    kept = CarSettings(data_dir=tmp_path, seed=3)
    images: list[bytes] = []

    async def first(car: Car, tester: RawTester) -> None:
        images.append(car.ecu.memory.read(CAL, CAL_SIZE))
        await tester.enter_programming()
        await tester.erase(CAL, CAL_SIZE)

    async def second(car: Car, tester: RawTester) -> None:
        assert car.ecu.program is Program.BOOTLOADER
        assert car.ecu.memory.read(CAL, CAL_SIZE) == b"\xff" * CAL_SIZE
        await tester.ask("10 02")
        await tester.unlock(3)
        await finish(car, tester, images[0])

    on_virtual_time(first, settings=kept)
    on_virtual_time(second, settings=kept)


def test_a_brown_out_restarts_the_ecu_and_a_sag_above_it_does_not() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        car.battery.hold(8.0, 1.0)
        await asyncio.sleep(2)
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 03")
        car.battery.hold(5.0, 1.0)
        assert car.ecu.program is Program.OFF
        await asyncio.sleep(2)
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 01")

    on_virtual_time(scenario)


def test_a_load_that_pulls_the_supply_under_the_limit_ends_with_the_load() -> None:
    settings = CarSettings(voltage_v=12.5, load_sag_v=7.0)

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        with pytest.raises((ConnectionError, TimeoutError)):
            await tester.erase(CAL, CAL_SIZE)
        await asyncio.sleep(1)
        assert car.ecu.program is Program.BOOTLOADER
        assert car.voltage_v() == 12.5

    on_virtual_time(scenario, settings=settings)
