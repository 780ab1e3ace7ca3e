"""Download and upload: sequence counters, lengths, and what may be written where."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.car import Car
from simulator.ecu.nrc import Nrc, RefusedError
from simulator.ecu.transfer import Transfer
from simulator.virtualtime import run_virtual

from .bench import CAL, CAL_SIZE, CODE, RawTester, build, build_by_block, on_virtual_time, running, span

BLOCK = 1024
upload = build(reading={"method": "upload", "block_bytes": 1024}, sessions={"read_security": None})


@given(st.integers(1, 700), st.lists(st.integers(-2, 2), max_size=400))
def test_the_counter_accepts_the_next_and_the_last_block_and_no_other(size: int, offsets: list[int]) -> None:
    """One-byte blocks, so that the counter wraps; an offset of 1 is the next block, 0 the last one again."""
    transfer, moved = Transfer(True, 0, size, 1), 0
    for offset in offsets:
        counter = (moved + offset) & 0xFF
        try:
            repeat = transfer.is_repeat(counter)
        except RefusedError as refusal:
            assert (offset != 1 and not (offset == 0 and moved)) or moved == size
            expected = Nrc.REQUEST_SEQUENCE_ERROR if moved == size else Nrc.WRONG_BLOCK_SEQUENCE_COUNTER
            assert refusal.nrc is expected
            continue
        if repeat:
            assert offset == 0
            assert moved
        else:
            assert offset == 1
            assert moved < size
            moved += 1
            transfer.accept(counter, 1, bytes((0x76, counter)))
    assert (transfer.done, transfer.complete) == (moved, moved == size)


def test_a_whole_download_ends_up_in_memory_and_the_application_starts() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        image = car.ecu.memory.read(CAL, CAL_SIZE)
        await tester.enter_programming()
        await tester.erase(CAL, CAL_SIZE)
        await tester.download(CAL, image)
        assert car.ecu.memory.read(CAL, CAL_SIZE) == image
        assert await tester.ask("31 01 FF01") == bytes.fromhex("71 01 FF01 00")
        await tester.ask("11 01")
        await asyncio.sleep(1)
        assert (await tester.ask("22 F188"))[3:] == b"SW-1"
        assert (await tester.ask("22 0407 0408")).hex() == "62040700010408" + "0001"

    on_virtual_time(scenario)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(st.sampled_from(["next", "repeat", "skip", "back"]), max_size=30),
    st.binary(min_size=8, max_size=8),
)
def test_lost_answers_and_wrong_counters_never_change_what_is_stored(plan: list[str], salt: bytes) -> None:
    data = (salt * (0x1000 // 8))[:0x1000]
    size = 256

    async def main() -> None:
        async with running() as (car, tester):
            await tester.enter_programming()
            await tester.erase(CAL, 0x1000)
            assert (await tester.ask(bytes.fromhex("34 00 44") + span(CAL, 0x1000)))[0] == 0x74
            sent = 0
            for step in plan:
                done = sent * size >= len(data)
                if step == "next" and not done:
                    sent += 1
                number = {"next": sent, "repeat": sent, "skip": sent + 2, "back": sent - 1}[step] & 0xFF
                payload = data[(sent - 1) * size : sent * size] if step in ("next", "repeat") else bytes(size)
                answer = await tester.ask(bytes((0x36, number)) + (payload or bytes(size)))
                if step in ("next", "repeat") and sent:
                    assert answer == bytes((0x76, number))
                else:
                    assert answer == bytes((0x7F, 0x36, 0x24 if done else 0x73))
            stored = car.ecu.memory.read(CAL, 0x1000)
            assert stored == data[: sent * size].ljust(0x1000, b"\xff")

    run_virtual(main())


def test_a_repeated_block_is_acknowledged_without_being_programmed_again() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.erase(CAL, 0x1000)
        await tester.ask(bytes.fromhex("34 00 44") + span(CAL, 0x1000))
        assert await tester.ask(b"\x36\x01" + b"\xaa" * 16) == b"\x76\x01"
        assert await tester.ask(b"\x36\x01" + b"\x00" * 16) == b"\x76\x01"
        assert car.ecu.memory.read(CAL, 17) == b"\xaa" * 16 + b"\xff"

    on_virtual_time(scenario)


@pytest.mark.parametrize(
    ("start", "size", "nrc"),
    [
        (0x8000_0000, 0x1000, 0x31),
        (CODE - 0x1000, 0x2000, 0x31),
        (CAL + CAL_SIZE, 0x1000, 0x31),
        (CAL, 0, 0x31),
        (CAL, 0x1000, 0x24),
    ],
)
def test_downloads_to_the_wrong_place_are_refused(start: int, size: int, nrc: int) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        before = car.ecu.memory.whole()
        await tester.enter_programming()
        assert await tester.ask(bytes.fromhex("34 00 44") + span(start, size)) == bytes((0x7F, 0x34, nrc))
        assert car.ecu.memory.whole() == before
        assert car.ecu.records.application_valid

    on_virtual_time(scenario)


@pytest.mark.parametrize(
    ("head", "nrc"), [("34 11 44", 0x31), ("34 00 34", 0x13), ("34 00 FF", 0x13), ("34 00 00", 0x13)]
)
def test_downloads_in_another_format_are_refused(head: str, nrc: int) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.erase(CAL, 0x1000)
        assert await tester.ask(bytes.fromhex(head) + span(CAL, 0x1000)) == bytes((0x7F, 0x34, nrc))

    on_virtual_time(scenario)


def test_a_span_that_was_begun_needs_a_new_erase() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        request = bytes.fromhex("34 00 44") + span(CAL, 0x1000)
        await tester.enter_programming()
        await tester.erase(CAL, 0x1000)
        await tester.ask(request)
        await tester.ask(b"\x36\x01\x00")
        assert await tester.ask(request) == b"\x7f\x34\x22"
        assert await tester.ask("37") == b"\x7f\x37\x24"
        assert await tester.ask(request) == b"\x7f\x34\x70"
        await tester.erase(CAL, 0x1000)
        assert (await tester.ask(request))[0] == 0x74

    on_virtual_time(scenario)


def test_more_data_than_announced_ends_the_transfer() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.erase(CAL, 0x1000)
        await tester.ask(bytes.fromhex("34 00 44") + span(CAL, 0x20))
        assert await tester.ask(b"\x36\x01" + bytes(0x21)) == b"\x7f\x36\x71"
        assert await tester.ask(b"\x36\x01" + bytes(0x20)) == b"\x7f\x36\x24"
        assert car.ecu.memory.read(CAL, 0x21) == b"\xff" * 0x21

    on_virtual_time(scenario)


def test_a_block_longer_than_announced_or_empty_has_the_wrong_length() -> None:
    definition = build(simulation={"max_block_bytes": 258})

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.erase(CAL, 0x1000)
        answer = await tester.ask(bytes.fromhex("34 00 44") + span(CAL, 0x1000))
        assert answer == bytes.fromhex("74 20 0102")
        assert await tester.ask(b"\x36\x01") == b"\x7f\x36\x13"
        assert await tester.ask(b"\x36\x01" + bytes(256)) == b"\x76\x01"

    on_virtual_time(scenario, definition)


def test_cells_that_do_not_take_their_bits_are_reported() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.erase(CAL, 0x1000)
        car.ecu.memory.force(CAL + 5, b"\x0f")
        await tester.ask(bytes.fromhex("34 00 44") + span(CAL, 0x1000))
        assert await tester.ask(b"\x36\x01" + b"\xf1" * 16) == b"\x7f\x36\x72"
        assert car.ecu.memory.read(CAL + 5, 1) == b"\x01"
        assert await tester.ask("37") == b"\x7f\x37\x24"

    on_virtual_time(scenario)


@pytest.mark.parametrize("start", [0x8000_0000, CAL - 100])
def test_an_upload_returns_memory_over_region_borders(start: int) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        size = 5000
        await tester.ask("10 03")
        answer = await tester.ask(bytes.fromhex("35 00 44") + span(start, size))
        assert answer == bytes.fromhex("75 20 0402")
        data = b""
        for counter in range(1, 6):
            block = await tester.ask(bytes((0x36, counter)))
            assert await tester.ask(bytes((0x36, counter))) == block
            data += block[2:]
        assert data == car.ecu.memory.read(start, size)
        assert await tester.ask("36 06") == b"\x7f\x36\x24"
        assert await tester.ask("37") == b"\x77"

    on_virtual_time(scenario, upload)


def test_reading_by_address_within_limits() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        await tester.unlock(1)

        async def read(start: int, size: int) -> bytes:
            return await tester.ask(b"\x23\x44" + span(start, size))

        assert await read(CAL - 10, 20) == b"\x63" + car.ecu.memory.read(CAL - 10, 20)
        assert (await read(CAL, 1025))[0] == 0x63
        assert await read(CAL, 1026) == b"\x7f\x23\x14"
        assert await read(CAL + CAL_SIZE - 4, 5) == b"\x7f\x23\x31"
        assert await tester.ask("23 24 80000000 0010") == b"\x7f\x23\x31"
        assert await tester.ask("23 44 80000000") == b"\x7f\x23\x13"

    on_virtual_time(scenario)


def test_scratch_memory_can_be_written_in_the_application() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        assert await tester.ask("3D 44 D0000010 00000002 BEEF") == b"\x7f\x3d\x33"
        await tester.unlock(1)
        assert await tester.ask("3D 44 D0000010 00000002 BEEF") == bytes.fromhex("7D 44 D0000010 00000002")
        assert await tester.ask("23 44 D000000F 00000004") == bytes.fromhex("63 00 BEEF 00")
        assert await tester.ask("3D 44 D0000010 00000002 BE") == b"\x7f\x3d\x13"
        assert await tester.ask("3D 44 80010000 00000002 BEEF") == b"\x7f\x3d\x31"

    on_virtual_time(scenario)


def test_by_block_id_the_whole_block_and_nothing_else() -> None:
    definition = build_by_block(writing={"fingerprint_did": 0xF15A, "fingerprint": "010203"})

    async def scenario(car: Car, tester: RawTester) -> None:
        image = car.ecu.memory.read(CAL, CAL_SIZE)
        await tester.enter_programming()
        assert await tester.ask("31 01 FF00 01 03") == b"\x7f\x31\x22"
        assert await tester.ask("2E F15A 0102") == b"\x7f\x2e\x13"
        assert await tester.ask("2E F15A 010203") == b"\x6e\xf1\x5a"
        for wrong in ("31 01 FF00 01 01", "31 01 FF00 01 09", "31 01 FF00 02 03"):
            assert await tester.ask(wrong) == b"\x7f\x31\x31"
        assert await tester.ask("31 01 FF00 01 03") == bytes.fromhex("71 01 FF00 00")
        assert await tester.ask("34 00 41 03 00003FFF") == b"\x7f\x34\x31"
        assert (await tester.ask("34 00 41 03 00004000"))[0] == 0x74
        for index in range(16):
            await tester.ask(bytes((0x36, index + 1)) + image[index * BLOCK : (index + 1) * BLOCK])
        assert await tester.ask("37") == b"\x77"
        assert car.ecu.memory.read(CAL, CAL_SIZE) == image

    on_virtual_time(scenario, definition)
