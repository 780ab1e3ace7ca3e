"""ECUs that keep an open transfer, and ECUs whose S3 only 0x10 and 0x3E start again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from simulator.car import Car, CarSettings
from simulator.ecu.options import EcuOptions, TransferEnd
from simulator.ecu.session import Kind

from .bench import CAL, RawTester, on_virtual_time, span

SECTOR = 0x1000
DOWNLOAD = bytes.fromhex("34 00 44") + span(CAL, SECTOR)
IN_THE_WAY = bytes.fromhex("7F 34 22")


async def _exit(car: Car, tester: RawTester) -> None:
    assert await tester.ask("37") == bytes.fromhex("7F 37 24")


async def _session(car: Car, tester: RawTester) -> None:
    assert (await tester.ask("10 02"))[0] == 0x50
    await tester.unlock(3)


async def _erase(car: Car, tester: RawTester) -> None:
    await tester.erase(CAL + SECTOR, SECTOR)


async def _reset(car: Car, tester: RawTester) -> None:
    assert (await tester.ask("11 01"))[0] == 0x51
    await asyncio.sleep(1)
    await tester.enter_programming()


async def _power(car: Car, tester: RawTester) -> None:
    car.power_cut()
    car.power_up()
    await asyncio.sleep(1)
    await tester.enter_programming()


ENDS: dict[TransferEnd, Callable[[Car, RawTester], Awaitable[None]]] = {
    TransferEnd.EXIT: _exit,
    TransferEnd.SESSION: _session,
    TransferEnd.ERASE: _erase,
    TransferEnd.RESET: _reset,
    TransferEnd.POWER: _power,
}

IMPLIED = {end: {end} for end in TransferEnd} | {
    TransferEnd.RESET: {TransferEnd.RESET, TransferEnd.SESSION},
    TransferEnd.POWER: {TransferEnd.POWER, TransferEnd.RESET, TransferEnd.SESSION},
}
"""What happens besides: after a restart the session is entered anew."""


def with_options(test: Callable[[Car, RawTester], Awaitable[None]], options: EcuOptions) -> None:
    on_virtual_time(test, settings=CarSettings(options={"bench-ecu": options}))


@pytest.mark.parametrize("tried", TransferEnd)
@pytest.mark.parametrize("ended_by", [frozenset(), *(frozenset({end}) for end in TransferEnd)], ids=str)
def test_an_open_transfer_is_in_the_way_until_something_ends_it(
    tried: TransferEnd, ended_by: frozenset[TransferEnd]
) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.erase(CAL, 2 * SECTOR)
        assert (await tester.ask(DOWNLOAD))[0] == 0x74
        await ENDS[tried](car, tester)
        other = bytes.fromhex("34 00 44") + span(CAL + SECTOR, SECTOR)
        answer = await tester.ask(other)
        if IMPLIED[tried] & ended_by:
            assert answer != IN_THE_WAY
        else:
            assert answer == IN_THE_WAY

    with_options(scenario, EcuOptions(transfer_ended_by=ended_by))


def test_a_complete_transfer_always_ends() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.erase(CAL, SECTOR)
        await tester.download(CAL, bytes(SECTOR))
        assert await tester.ask(DOWNLOAD) != IN_THE_WAY

    with_options(scenario, EcuOptions(transfer_ended_by=frozenset()))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("kept_alive", [False, True])
def test_requests_alone_keep_a_session_only_where_any_request_does(strict: bool, kept_alive: bool) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        for _ in range(20):
            await tester.ask("22 F190")
            if kept_alive:
                tester.broadcast("3E 80")
            await asyncio.sleep(0.5)
        kept = Kind.EXTENDED if kept_alive or not strict else Kind.DEFAULT
        assert car.ecu.core.session.kind is kept

    with_options(scenario, EcuOptions(s3_kept_by_any_request=not strict))
