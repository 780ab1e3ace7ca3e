"""0x87 of the simulated ECU: in its order, in a session, to rates that it knows, and back by itself."""

from __future__ import annotations

import asyncio

import pytest

from appliance.definitions.schema import Definition
from simulator.bus import SimPort
from simulator.car import Car
from tests.support.definitions import raw, validated

from .bench import RawTester, build, on_virtual_time

FIRST, FAST = 500_000, 1_000_000
EXTENDED, VERIFY, GO = "10 03", "87 01 13", "87 03"


def quick() -> Definition:
    tables = raw(build())
    tables["simulation"]["protocols"] = {"uds": {"rates_bps": [FAST]}}
    return validated(tables)


def to_rate(tester: RawTester, rate_bps: int) -> None:
    assert isinstance(tester.port, SimPort)
    tester.port.set_rate(rate_bps)


def test_an_ecu_without_other_rates_does_not_know_the_service() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask(EXTENDED)
        assert await tester.ask(VERIFY) == bytes.fromhex("7F8711")

    on_virtual_time(scenario)


@pytest.mark.parametrize(
    ("requests", "nrc"),
    [
        ([VERIFY], 0x7F),
        ([EXTENDED, GO], 0x24),
        ([EXTENDED, "87 01 11"], 0x31),
        ([EXTENDED, "87 01 77"], 0x31),
        ([EXTENDED, "87 02 03 D0 90"], 0x31),
        ([EXTENDED, "87 01"], 0x13),
        ([EXTENDED, "87 02 0F 42"], 0x13),
        ([EXTENDED, VERIFY, "87 03 00"], 0x13),
        ([EXTENDED, "87 04"], 0x12),
        ([EXTENDED, VERIFY, EXTENDED, GO], 0x24),
    ],
)
def test_what_is_out_of_order_or_range_is_refused(requests: list[str], nrc: int) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        for request in requests[:-1]:
            assert (await tester.ask(request))[0] != 0x7F
        assert await tester.ask(requests[-1]) == bytes((0x7F, 0x87, nrc))
        assert (await tester.ask(EXTENDED))[0] == 0x50

    on_virtual_time(scenario, quick())


@pytest.mark.parametrize("verify", [VERIFY, "87 02 0F 42 40"])
def test_the_answer_comes_at_the_old_rate_and_all_else_at_the_new_one(verify: str) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask(EXTENDED)
        assert (await tester.ask(verify))[0] == 0xC7
        assert await tester.ask(GO) == bytes.fromhex("C703")
        assert await tester.silent("3E 00")
        to_rate(tester, FAST)
        assert await tester.ask("3E 00") == bytes.fromhex("7E00")
        assert (await tester.ask("10 01"))[0] == 0x50
        assert await tester.silent("3E 00")
        to_rate(tester, FIRST)
        assert await tester.ask("3E 00") == bytes.fromhex("7E00")

    on_virtual_time(scenario, quick())


@pytest.mark.parametrize("ending", ["silence", "reset", "supply"])
def test_it_comes_back_by_itself(ending: str) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        for request in (EXTENDED, VERIFY, GO):
            await tester.ask(request)
        to_rate(tester, FAST)
        if ending == "reset":
            assert (await tester.ask("11 01"))[0] == 0x51
        elif ending == "supply":
            car.power_cut()
            car.power_up()
        to_rate(tester, FIRST)
        await asyncio.sleep(6 if ending == "silence" else 1)
        assert await tester.ask("3E 00") == bytes.fromhex("7E00")

    on_virtual_time(scenario, quick())
