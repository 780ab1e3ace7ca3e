"""Random faults during a write: once they are over, the ECU can always be brought back."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress

import pytest

from simulator.car import Car
from simulator.ecu.chip import Program
from simulator.faults import CAR_FAULTS, Trigger, random_plan
from simulator.injection import FaultInjector
from simulator.virtualtime import run_virtual

from .bench import CAL, CAL_SIZE, RawTester, build, running, span

REACH = {
    Trigger.PROGRAMMED: 2 * CAL_SIZE,
    Trigger.ERASED: 2 * CAL_SIZE,
    Trigger.REQUEST: 60,
    Trigger.FRAME: 4000,
    Trigger.TIME: 20.0,
}
DEFINITION = build(simulation={"erase_ms_per_kib": 60.0, "program_ms_per_kib": 20.0})


async def write(tester: RawTester, image: bytes) -> None:
    """One attempt that stops at the first thing that is not as it should be."""
    await tester.enter_programming()
    assert await tester.erase(CAL, CAL_SIZE) == bytes.fromhex("71 01 FF00 00")
    await tester.download(CAL, image)
    crc = zlib.crc32(image).to_bytes(4, "big")
    assert (await tester.ask(bytes.fromhex("31 01 0202 44") + span(CAL, CAL_SIZE)))[4:] == crc
    assert await tester.ask("31 01 FF01") == bytes.fromhex("71 01 FF01 00")
    assert await tester.ask("11 01") == b"\x51\x01"


async def write_at_last(car: Car, tester: RawTester, image: bytes) -> int:
    """Attempts needed."""
    for attempt in range(1, 15):
        with suppress(AssertionError, ConnectionError, TimeoutError, IndexError):
            await write(tester, image)
            await asyncio.sleep(1)
            if car.ecu.program is Program.APPLICATION:
                return attempt
        car.power_up()
        await asyncio.sleep(12)
        tester.link.drain()
        if car.ecu.program not in (Program.OFF, Program.BOOTING):
            valid = car.ecu.records.application_valid
            assert car.ecu.program is (Program.APPLICATION if valid else Program.BOOTLOADER)
    raise AssertionError("the ECU could not be brought back")


@pytest.mark.parametrize("seed", range(60))
def test_every_interrupted_write_can_be_finished(seed: int) -> None:
    async def main() -> None:
        async with running(DEFINITION) as (car, tester):
            image = bytearray(car.ecu.memory.read(CAL, CAL_SIZE))
            image[seed] ^= 0xFF
            image[-4:] = zlib.crc32(image[:-4]).to_bytes(4, "big")
            boot_and_code = car.ecu.memory.whole()[:-CAL_SIZE]
            injector = FaultInjector(random_plan(seed, 4, CAR_FAULTS, REACH), car)
            await write_at_last(car, tester, bytes(image))
            assert car.ecu.memory.whole() == boot_and_code + bytes(image)
            injector.close()

    run_virtual(main())
