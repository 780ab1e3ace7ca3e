"""The ECU of the old services is strict: out of turn, disturbed or wrongly announced, nothing is taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_definition
from simulator.car import Car
from simulator.ecu.chip import Program
from simulator.ecu.keys import expected_key
from simulator.ecu.makes.veteran import NOT_LEFT_CLEAN

from .bench import RawTester, on_virtual_time

Q250 = load_definition(PACKS / "pbx-q250.toml")
BEGIN, GO_ON = "31 01 FF00 51", "31 03 FF00"


async def unlock(tester: RawTester, purpose: str) -> None:
    sessions = uds_access(Q250).sessions
    level = sessions.read_security if purpose == "reading" else sessions.write_security
    assert level is not None
    seed = (await tester.ask(bytes((0x27, level.level))))[2:]
    assert (await tester.ask(bytes((0x27, level.level + 1)) + expected_key(level, seed, {})))[0] == 0x67


async def in_its_boot_loader(tester: RawTester) -> None:
    await tester.ask("10 03")
    await unlock(tester, "reading")
    assert (await tester.ask("10 02"))[0] == 0x50
    assert await tester.heard(1.0) is None
    assert (await tester.ask("10 02"))[0] == 0x50
    await unlock(tester, "writing")


async def erased(tester: RawTester) -> None:
    assert await tester.ask(BEGIN) == bytes.fromhex("71 01 FF00 01")
    while (answer := await tester.ask(GO_ON)) == bytes.fromhex("71 03 FF00 01"):
        pass
    assert answer == bytes.fromhex("71 03 FF00 00")


def on_q250(scene: Callable[[Car, RawTester], Awaitable[None]]) -> None:
    on_virtual_time(scene, Q250)


def test_its_boot_loader_starts_for_whoever_unlocked_and_is_deaf_until_then() -> None:
    async def scene(car: Car, tester: RawTester) -> None:
        assert (await tester.ask("10 02")).hex() == "7f107e"
        await tester.ask("10 03")
        assert (await tester.ask("10 02")).hex() == "7f1033"
        await unlock(tester, "reading")
        assert (await tester.ask("10 02"))[0] == 0x50
        tester.broadcast("3E 00")
        assert await tester.heard(0.2) is None
        assert await tester.heard(0.3) is None
        assert car.ecu.program is Program.BOOTLOADER
        assert (await tester.ask("1A 9A"))[0] == 0x7F
        assert (await tester.ask(BEGIN)).hex() == "7f3133"

    on_q250(scene)


def test_an_erase_is_begun_once_and_asked_for_until_it_is_done() -> None:
    async def scene(_car: Car, tester: RawTester) -> None:
        await in_its_boot_loader(tester)
        assert (await tester.ask(GO_ON)).hex() == "7f3124"
        await tester.ask(BEGIN)
        assert (await tester.ask(BEGIN)).hex() == "7f3124"
        assert (await tester.ask("34 11 51 00004000")).hex() == "7f3422"
        assert (await tester.ask("31 01 0202 51")).hex() == "7f3122"

    on_q250(scene)


def test_a_tester_that_is_present_ends_an_erase_and_a_transfer() -> None:
    async def scene(_car: Car, tester: RawTester) -> None:
        await in_its_boot_loader(tester)
        await tester.ask(BEGIN)
        tester.broadcast("3E 80")
        assert await tester.heard(0.05) is None
        assert (await tester.ask(GO_ON)).hex() == "7f3124"
        await erased(tester)
        assert (await tester.ask("34 11 51 00004000"))[0] == 0x74
        assert (await tester.ask("3E 00"))[0] == 0x7E
        assert (await tester.ask("36 01 00 41")).hex() == "7f3624"

    on_q250(scene)


@pytest.mark.parametrize("announced", [0x100, 0x4200])
def test_another_length_than_the_announced_is_refused(announced: int) -> None:
    """All literals: nine bytes for each eight of the block."""

    async def scene(_car: Car, tester: RawTester) -> None:
        await in_its_boot_loader(tester)
        await erased(tester)
        assert (await tester.ask(f"34 11 51 {announced:08X}"))[0] == 0x74
        sent = b"".join(b"\x00" + bytes(8) for _ in range(0x4000 // 8))
        for number, at in enumerate(range(0, len(sent), 0x400), 1):
            answer = await tester.ask(bytes((0x36, number & 0xFF)) + sent[at : at + 0x400])
            if answer[0] == 0x7F:
                assert answer.hex() == "7f3671"
                return
        assert (await tester.ask("37")).hex() == "7f3724"

    on_q250(scene)


def test_who_does_not_leave_it_clean_finds_its_fault_code() -> None:
    async def scene(car: Car, tester: RawTester) -> None:
        await in_its_boot_loader(tester)
        await tester.ask(BEGIN)
        assert NOT_LEFT_CLEAN in car.ecu.records.dtcs
        assert await tester.ask("82") == b"\xc2"
        assert NOT_LEFT_CLEAN in car.ecu.records.dtcs

    on_q250(scene)
