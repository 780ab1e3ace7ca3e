"""The ECUs of their own kind are strict: a wrong order, form or sum is refused."""

from __future__ import annotations

import binascii

import pytest

from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.memory import Region
from appliance.definitions.schema import Definition
from appliance.definitions.vbf import parse_vbf
from simulator.car import Car
from simulator.ecu import spans
from simulator.ecu.keys import expected_key, told_level
from tests.faults.ties import Tie, tied

from .bench import RawTester, on_virtual_time, span

V381, VB60, P179 = (load_definition(PACKS / f"{name}.toml") for name in ("pbx-v381", "pbx-vb60", "pbx-p179"))
LOADER = b"".join(one.data for one in parse_vbf(bytes.fromhex(VB60.twin.secrets["sbl"])).blocks)
RAM = 0x4000_0000


async def unlock(tester: RawTester, definition: Definition) -> None:
    level = tester.definition.accesses[0].sessions.write_security  # type: ignore[attr-defined]
    seed = (await tester.ask(bytes((0x27, level.level))))[2:]
    key = expected_key(told_level(level, definition.twin.secrets), seed, {})
    assert await tester.ask(bytes((0x27, level.level + 1)) + key) == bytes((0x67, level.level + 1))
    assert definition.id == tester.definition.id


async def quiet(tester: RawTester, times: int = 10) -> None:
    for _ in range(times):
        tester.broadcast("10 82")
        assert await tester.heard(0.02) is None


async def load(tester: RawTester, content: bytes) -> bytes:
    assert (await tester.ask(bytes.fromhex("34 00 44") + span(RAM, len(content))))[0] == 0x74
    assert await tester.ask(b"\x36\x01" + content) == b"\x76\x01"
    return await tester.ask("37")


async def enter_loader(tester: RawTester) -> None:
    await quiet(tester)
    assert (await tester.ask("10 02"))[0] == 0x50
    assert await tester.heard(1.0) is None
    await unlock(tester, VB60)
    assert await load(tester, LOADER) == b"\x77" + binascii.crc_hqx(LOADER, 0xFFFF).to_bytes(2, "big")
    assert await tester.ask("31 01 0301 40000000") == bytes.fromhex("71 01 0301 10")


def test_nothing_is_written_without_quiet_unlock_and_loader() -> None:
    async def scenario(_car: Car, tester: RawTester) -> None:
        assert (await tester.ask("10 02")).hex() == "7f1022"
        await quiet(tester, 9)
        assert (await tester.ask("10 02")).hex() == "7f1022"
        await quiet(tester)
        assert (await tester.ask("10 02"))[0] == 0x50
        assert (await tester.ask("27 03")).hex() == "7f2722"
        assert await tester.heard(1.0) is None
        assert (await tester.ask(bytes.fromhex("34 00 44") + span(RAM, 16))).hex() == "7f3433"
        await unlock(tester, VB60)
        assert (await tester.ask(bytes.fromhex("31 01 FF00") + span(0x10000, 0x4000))).hex() == "7f3131"
        assert (await tester.ask(bytes.fromhex("34 00 44") + span(0x10000, 0x4000))).hex() == "7f3431"
        assert (await tester.ask(bytes.fromhex("35 00 44") + span(0x10000, 0x100))).hex() == "7f3511"
        assert (await tester.ask("31 01 0304")).hex() == "7f3131"
        assert (await tester.ask("22 D0F0")).hex() == "7f2231"

    on_virtual_time(scenario, VB60)


def test_only_a_whole_loader_at_its_own_place_is_started() -> None:
    async def scenario(_car: Car, tester: RawTester) -> None:
        await quiet(tester)
        await tester.ask("10 02")
        await tester.heard(1.0)
        await unlock(tester, VB60)
        await load(tester, LOADER[:-1] + b"\0")
        assert (await tester.ask("31 01 0301 40000000")).hex() == "7f3122"
        await load(tester, LOADER)
        assert (await tester.ask("31 01 0301 4000")).hex() == "7f3122"
        assert (await tester.ask("31 01 0301 40000002")).hex() == "7f3131"
        assert (await tester.ask("31 01 0301 40000000"))[-1] == 0x10
        assert (await tester.ask("31 01 0301 40000000")).hex() == "7f3122"
        assert (await tester.ask("22 D0F0"))[0] == 0x62

    on_virtual_time(scenario, VB60)


def test_with_the_loader_a_sector_is_erased_and_half_of_one_is_not() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await enter_loader(tester)
        assert (await tester.ask(bytes.fromhex("31 01 FF00") + span(0x10000, 0x2000))).hex() == "7f3131"
        assert (await tester.ask(bytes.fromhex("34 00 44") + span(0x10000, 0x4000))).hex() == "7f3424"
        erased = await tester.ask(bytes.fromhex("31 01 FF00") + span(0x10000, 0x4000), 60)
        assert erased == bytes.fromhex("71 01 FF00 00")
        assert car.ecu.memory.read(0x10000, 0x4000) == b"\xff" * 0x4000
        assert await tester.ask("31 01 0304") == bytes.fromhex("71 01 0304 02")

    on_virtual_time(scenario, VB60)


async def enter_v381(tester: RawTester) -> None:
    for request in ("10 03", "31 01 0203", "10 02"):
        assert (await tester.ask(request))[0] != 0x7F
    await unlock(tester, V381)
    assert await tester.ask("2E F15A 261121504258000001") == bytes.fromhex("6E F15A")


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("34 00 41 02 00010000", "31"),
        ("34 A0 41 02 00010000", "31"),
        ("34 AA 44 02 00010000", "31"),
        ("34 AA 41 02 00010001", "31"),
        ("34 AA 41 01 00004000", "31"),
        ("34 AA 41 02 00010000", "24"),
        ("34 AA 41 02", "13"),
    ],
)
def test_a_block_in_another_form_is_refused(request_: str, nrc: str) -> None:
    async def scenario(_car: Car, tester: RawTester) -> None:
        await enter_v381(tester)
        assert (await tester.ask(request_)).hex() == f"7f34{nrc}"

    on_virtual_time(scenario, V381)


def test_plain_content_and_the_erase_of_a_block_in_place_are_refused() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await enter_v381(tester)
        assert (await tester.ask("31 01 FF00 01 04")).hex() == "7f3131"
        assert (await tester.ask("34 AA 41 04 00001000"))[0] == 0x74
        assert (await tester.ask(b"\x36\x01" + bytes(range(240)) * 4)).hex() == "7f3672"
        assert (await tester.ask("31 01 0202 01 04 0004 00000000"))[-1] == 0x02
        assert (await tester.ask("31 01 0202 01 04 0004 11223344")).hex() == "7f3131"
        assert not car.ecu.records.application_valid

    on_virtual_time(scenario, V381)


async def enter_p179(tester: RawTester) -> None:
    for request in ("10 03", "10 02"):
        assert (await tester.ask(request))[0] == 0x50
    await unlock(tester, P179)


def test_a_piece_without_its_sum_and_a_half_erased_block_are_refused() -> None:
    async def scenario(_car: Car, tester: RawTester) -> None:
        await enter_p179(tester)
        announce = bytes.fromhex("34 81 44") + span(0x94000, 0x8000)
        assert (await tester.ask(announce)).hex() == "7f3424"
        assert (await tester.ask("31 01 FF00 81 F05A")).hex() == "7101ff0001"
        assert (await tester.ask(announce)).hex() == "7f3470"
        for _ in range(2):
            assert (await tester.ask("31 01 FF00 81 F05A")).hex() == "7101ff0001"
        for _ in range(2):
            assert (await tester.ask("31 01 FF00 81 F05A")).hex() == "7101ff0002"
        assert (await tester.ask("31 01 FF00 81 0000")).hex() == "7f3131"
        assert (await tester.ask(bytes.fromhex("34 82 44") + span(0x94000, 0x8000))).hex() == "7f3431"
        assert (await tester.ask(announce))[0] == 0x74
        assert (await tester.ask("36 01 AABBCC 0000")).hex() == "76010a"
        assert (await tester.ask("36 01 31323334")).hex() == "76010a"
        assert (await tester.ask("37")).hex() == "7f3724"
        assert (await tester.ask("31 01 FF04 81")).hex() == "7101ff0401"
        assert (await tester.ask("31 01 FF04 81")).hex() == "7101ff0403"
        assert (await tester.ask("31 03 FF04")).hex() == "7103ff0401"
        assert (await tester.ask("31 03 FF04")).hex() == "7103ff0403"

    on_virtual_time(scenario, P179)


TYING = {"vw": V381, "vbf": VB60, "psa": P179}


def ordered(definition: Definition, tie: Tie) -> tuple[Definition, Region, Region]:
    """Tied, with the calibration and the region that hangs on it."""
    made = tied(definition, tie)
    regions = {one.name: one for one in made.regions}
    calibration = next(one for one in made.regions if one.tag == "calibration")
    if calibration.erases_with:
        return made, calibration, regions[calibration.erases_with[0]]
    return made, calibration, next(one for one in made.regions if calibration.name in one.depends_on)


async def erase(tester: RawTester, region: Region) -> None:
    """All of it, as the ECU of that kind is asked."""
    size = region.sector_ranges()[0].length
    asked = {
        "vw": f"31 01 FF00 01 {region.block_id or 0:02X}",
        "vbf": f"31 01 FF00 {span(region.start, size).hex()}",
        "psa": f"31 01 FF00 {region.block_id or 0:02X} F05A",
    }[tester.definition.twin.kind]
    answer = await tester.ask(asked)
    while answer[-1] == 0x01:
        answer = await tester.ask(asked)
    assert answer[:4] == bytes.fromhex("71 01 FF00"), answer.hex()


async def begin(tester: RawTester, region: Region) -> bytes:
    """Its download."""
    size = region.sector_ranges()[0].length
    return await tester.ask(
        {
            "vw": f"34 AA 41 {region.block_id or 0:02X} {size:08X}",
            "vbf": f"34 00 44 {span(region.start, size).hex()}",
            "psa": f"34 {region.block_id or 0:02X} 44 {span(region.start, size).hex()}",
        }[tester.definition.twin.kind]
    )


async def opened(tester: RawTester) -> None:
    if tester.definition.twin.kind == "vbf":
        await enter_loader(tester)
        return
    await tester.ask("10 03")
    routine = tester.definition.accesses[0].sessions.precondition_routine  # type: ignore[attr-defined]
    if routine is not None:
        await tester.ask(f"31 01 {routine:04X}")
    assert (await tester.ask("10 02"))[0] == 0x50
    await unlock(tester, tester.definition)
    writing = tester.definition.accesses[0].writing  # type: ignore[attr-defined]
    if writing.fingerprint_did is not None:
        assert (await tester.ask(f"2E {writing.fingerprint_did:04X} {writing.fingerprint}"))[0] == 0x6E


@pytest.mark.parametrize("kind", sorted(TYING))
def test_an_erase_takes_with_it_what_the_definition_says(kind: str) -> None:
    definition, calibration, other = ordered(TYING[kind], Tie.ONE_WAY)

    async def scenario(car: Car, tester: RawTester) -> None:
        await opened(tester)
        await erase(tester, calibration)
        held = car.ecu.memory.read(other.start, other.size_bytes)
        assert held == bytes([other.erased_byte]) * other.size_bytes
        assert spans.overlaps(car.ecu.records.unfinished, other.start, other.end)

    on_virtual_time(scenario, definition)


@pytest.mark.parametrize("kind", sorted(TYING))
def test_a_block_is_not_taken_before_what_it_waits_for(kind: str) -> None:
    definition, calibration, other = ordered(TYING[kind], Tie.IN_ORDER)

    async def scenario(_car: Car, tester: RawTester) -> None:
        await opened(tester)
        await erase(tester, other)
        await erase(tester, calibration)
        assert (await begin(tester, other)).hex() == "7f3422"
        assert (await begin(tester, calibration)).hex()[:2] == "74"

    on_virtual_time(scenario, definition)
