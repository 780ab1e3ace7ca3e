"""Security access: attempt counter, delay that outlives a reset, sequence, and seeds."""

from __future__ import annotations

import asyncio
from pathlib import Path

from simulator.car import Car, CarSettings
from simulator.ecu.options import EcuOptions

from .bench import READ_CONSTANT, RawTester, on_virtual_time

WRONG = "27 02 00000000"


async def fail(tester: RawTester) -> bytes:
    await tester.ask("27 01")
    return await tester.ask(WRONG)


def test_the_right_key_opens_and_an_open_level_gives_a_zero_seed() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        assert await tester.unlock(1) == b"\x67\x02"
        assert await tester.ask("27 01") == b"\x67\x01" + bytes(4)
        assert (await tester.ask("23 44 80000000 00000010"))[0] == 0x63
        await tester.ask("10 03")
        assert any((await tester.ask("27 01"))[2:])

    on_virtual_time(scenario)


def test_a_seed_stays_until_it_is_used_and_then_changes() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        first = await tester.ask("27 01")
        assert await tester.ask("27 01") == first
        assert await tester.ask(WRONG) == b"\x7f\x27\x35"
        assert await tester.ask(WRONG) == b"\x7f\x27\x24"
        assert await tester.ask("27 01") != first

    on_virtual_time(scenario)


def test_a_key_of_the_wrong_length_is_no_attempt() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        await tester.ask("27 01")
        assert await tester.ask("27 02 0000") == b"\x7f\x27\x13"
        assert car.ecu.records.failed_keys == 0

    on_virtual_time(scenario)


def test_three_wrong_keys_lock_out_even_over_reset_and_power_cut() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        assert [await fail(tester) for _ in range(3)] == [
            b"\x7f\x27\x35",
            b"\x7f\x27\x35",
            b"\x7f\x27\x36",
        ]
        assert await tester.ask("27 01") == b"\x7f\x27\x37"
        await tester.ask("11 01")
        await asyncio.sleep(1)
        await tester.ask("10 03")
        assert await tester.ask("27 01") == b"\x7f\x27\x37"
        car.power_cut()
        await asyncio.sleep(30)
        car.power_up()
        await asyncio.sleep(1)
        await tester.ask("10 03")
        assert await tester.ask("27 01") == b"\x7f\x27\x37"

    on_virtual_time(scenario)


def test_after_the_delay_each_further_wrong_key_starts_it_again_and_the_right_one_ends_it() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        for _ in range(3):
            await fail(tester)
        await asyncio.sleep(10.1)
        await tester.ask("10 03")
        assert await fail(tester) == b"\x7f\x27\x36"
        assert await tester.ask("27 01") == b"\x7f\x27\x37"
        await asyncio.sleep(10.1)
        await tester.ask("10 03")
        assert await tester.unlock(1) == b"\x67\x02"
        assert car.ecu.records.failed_keys == 0

    on_virtual_time(scenario)


def test_the_attempt_counter_is_kept_in_the_file(tmp_path: Path) -> None:
    settings = CarSettings(data_dir=tmp_path)

    async def first(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        await fail(tester)

    async def second(car: Car, tester: RawTester) -> None:
        assert car.ecu.records.failed_keys == 1

    on_virtual_time(first, settings=settings)
    on_virtual_time(second, settings=settings)


def test_options_change_the_limits() -> None:
    settings = CarSettings(options={"bench-ecu": EcuOptions(key_attempts=1, lockout_s=2.0)})

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        assert await fail(tester) == b"\x7f\x27\x36"
        await asyncio.sleep(2.1)
        seed = int.from_bytes((await tester.ask("27 01"))[2:], "big")
        key = (seed ^ READ_CONSTANT).to_bytes(4, "big")
        assert await tester.ask(b"\x27\x02" + key) == b"\x67\x02"

    on_virtual_time(scenario, settings=settings)
