"""OBD-II modes and the fault memory."""

from __future__ import annotations

import pytest

from simulator.car import Car
from simulator.ecu.services.dtc import dtc_bytes, store_dtc

from .bench import RawTester, on_virtual_time


@pytest.mark.parametrize(
    ("code", "raw"),
    [("P0301-00", "030100"), ("U0100-00", "C10000"), ("C1234-5F", "52345F"), ("B3FFF", "BFFF00")],
)
def test_codes_as_bytes(code: str, raw: str) -> None:
    assert dtc_bytes(code).hex().upper() == raw


def test_everyone_is_asked_and_the_ecu_answers_with_its_own_identifier() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        tester.broadcast("09 02")
        assert await tester.heard() == b"\x49\x02\x01BENCHTESTCAR00001"
        tester.broadcast("09 04")
        assert await tester.heard() == b"\x49\x04\x01BENCHCAL" + bytes(8)
        tester.broadcast("09 06")
        assert await tester.heard() == bytes.fromhex("49 06 01 DEADC0DE")
        tester.broadcast("09 00")
        assert await tester.heard() == bytes.fromhex("49 00 54400000")
        tester.broadcast("09 0B")
        assert await tester.heard() is None

    on_virtual_time(scenario)


def test_current_data() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        car.battery.set_level(12.345)
        assert await tester.ask("01 42") == bytes.fromhex("41 42 3039")
        assert await tester.ask("01 0C 0D") == bytes.fromhex("41 0C 0000 0D 00")
        assert await tester.ask("01 01") == bytes.fromhex("41 01 82000000")
        for group, pid in ((0x00, 0x0C), (0x40, 0x42)):
            bits = int.from_bytes((await tester.ask(bytes((1, group))))[2:], "big")
            assert bits >> (32 - (pid - group)) & 1
        assert await tester.ask("01 77") == b"\x7f\x01\x31"

    on_virtual_time(scenario)


def test_codes_are_listed_and_cleared_by_obd() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        both = bytes.fromhex("02 0301 C100")
        assert await tester.ask("03") == b"\x43" + both
        assert await tester.ask("07") == b"\x47" + both
        assert await tester.ask("0A") == b"\x4a\x00"
        car.engine_running = True
        assert await tester.ask("04") == b"\x7f\x04\x22"
        car.engine_running = False
        assert await tester.ask("04") == b"\x44"
        assert await tester.ask("03") == b"\x43\x00"

    on_virtual_time(scenario)


def test_codes_are_listed_by_mask_and_cleared_by_uds() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        store_dtc(car.ecu.core, "P1234-11", 0x01)
        assert await tester.ask("19 02 08") == bytes.fromhex("59 02 2F 030100 2C C10000 2C")
        assert await tester.ask("19 02 01") == bytes.fromhex("59 02 2F 123411 01")
        assert (await tester.ask("19 0A")).count(b"\x12\x34\x11") == 1
        assert await tester.ask("14 03 01 00") == b"\x54"
        assert await tester.ask("19 02 08") == bytes.fromhex("59 02 2F C10000 2C")
        assert await tester.ask("14 FF FF FF") == b"\x54"
        assert await tester.ask("19 02 FF") == bytes.fromhex("59 02 2F")

    on_virtual_time(scenario)


def test_nothing_is_stored_while_storing_is_off() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        assert await tester.ask("85 02") == b"\xc5\x02"
        store_dtc(car.ecu.core, "U0101-00")
        assert "U0101-00" not in car.ecu.records.dtcs
        assert await tester.ask("85 01") == b"\xc5\x01"
        store_dtc(car.ecu.core, "U0101-00")
        assert "U0101-00" in car.ecu.records.dtcs

    on_virtual_time(scenario)
