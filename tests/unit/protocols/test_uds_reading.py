"""Reads by address and by upload, byte for byte, and with answers lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from appliance.contract.places import Range
from appliance.protocols.access import (
    AccessError,
    Block,
    EcuAccess,
    EcuRefusedError,
    Refusal,
)
from appliance.protocols.uds.memory import MAX_READ_BYTES
from tests.support.places import flash

from .scripted import Step, asked
from .uds_bench import E400, PRESENT, SESSION_ANSWER, T300, definition, run

ELSEWHERE = Block("code", Range("eeprom", 0x80010000, 16))
UPLOAD_16 = "35 00 44 80010000 00000010"


def test_reading_by_address_is_cut_to_the_definitions_size() -> None:
    steps = (
        asked("23 23 010000 0800", "63" + "AA" * 2048),
        asked("23 23 010800 0001", "63 BB"),
        PRESENT,
    )
    data = run(T300, lambda access: access.memory.read(flash(0x10000, 2049)), *steps)
    assert data == b"\xaa" * 2048 + b"\xbb"


def test_reading_by_upload_takes_blocks_as_the_ecu_cuts_them() -> None:
    steps = (
        asked(UPLOAD_16, "75 20 0FFF"),
        asked("36 01", "76 01" + "11" * 9),
        asked("36 02", "76 02" + "22" * 7),
        asked("37", "77"),
    )
    assert (
        run(E400, lambda access: access.memory.read(flash(0x80010000, 16)), *steps)
        == b"\x11" * 9 + b"\x22" * 7
    )


def test_a_wire_that_loses_nothing_carries_one_upload_whatever_its_length() -> None:
    """The definition's block size is that of a message, not of an upload."""
    steps = (
        asked("35 00 44 80010000 00000028", "75 20 0012"),
        *(asked(f"36 {counter:02X}", f"76 {counter:02X}" + "11" * 16) for counter in (1, 2)),
        asked("36 03", "76 03" + "11" * 8),
        asked("37", "77"),
    )
    small = definition("pbx-e400", reading={"block_bytes": 16})
    assert run(small, lambda access: access.memory.read(flash(0x80010000, 40)), *steps) == b"\x11" * 40


def test_a_lost_block_is_asked_for_again_under_its_number() -> None:
    steps = (
        asked(UPLOAD_16, "75 20 0FFF"),
        asked("36 01"),
        PRESENT,
        asked("36 01", "76 01" + "11" * 16),
        asked("37", "77"),
    )

    async def scenario(access: EcuAccess) -> int:
        await access.memory.read(flash(0x80010000, 16))
        return access.memory.meter().retries

    assert run(E400, scenario, *steps) == 1


def test_an_upload_that_broke_off_goes_on_where_it_stopped() -> None:
    steps = (
        asked(UPLOAD_16, "75 20 0FFF"),
        asked("36 01", "76 01" + "11" * 9),
        asked("36 02", "7F 36 24"),
        asked("37", "7F 37 24"),
        asked("35 00 44 80010009 00000007", "75 20 0FFF"),
        asked("36 01", "76 01" + "22" * 7),
        asked("37", "77"),
    )
    assert (
        run(E400, lambda access: access.memory.read(flash(0x80010000, 16)), *steps)
        == b"\x11" * 9 + b"\x22" * 7
    )


def test_after_a_lost_answer_the_upload_is_ended_before_the_next() -> None:
    steps = (
        asked(UPLOAD_16),
        PRESENT,
        asked("37", "7F 37 24"),
        asked(UPLOAD_16, "7F 35 22"),
        asked("10 01", f"50 01 {SESSION_ANSWER}"),
        asked(UPLOAD_16, "75 20 0FFF"),
        asked("36 01", "76 01" + "11" * 16),
        asked("37"),
        PRESENT,
        asked("37", "7F 37 24"),
    )
    assert run(E400, lambda access: access.memory.read(flash(0x80010000, 16)), *steps) == b"\x11" * 16


@pytest.mark.parametrize("part", ["", "11" * 17])
def test_a_block_of_impossible_length_is_never_taken(part: str) -> None:
    """It may belong to an earlier upload, so it is asked for again; four times are enough."""
    attempt = (asked(UPLOAD_16, "75 20 0FFF"), asked("36 01", "76 01" + part))
    again = (asked("37", "7F 37 24"), *attempt)
    with pytest.raises(AccessError, match="came where 16 were left"):
        run(E400, lambda access: access.memory.read(flash(0x80010000, 16)), *attempt, *again, *again, *again)


def test_a_block_that_was_cut_short_shifts_nothing_behind_it() -> None:
    """An ECU that lost three bytes of a block counts them as sent: nothing of that upload is kept."""
    steps = (
        asked(UPLOAD_16, "75 20 0FFF"),
        asked("36 01", "76 01" + "11" * 6),
        asked("36 02", "76 02" + "22" * 3),
        asked("37", "7F 37 24"),
        asked(UPLOAD_16, "75 20 0FFF"),
        asked("36 01", "76 01" + "33" * 6),
        asked("36 02", "76 02" + "44" * 6),
        asked("36 03", "76 03" + "55" * 4),
        asked("37", "77"),
    )
    expected = b"\x33" * 6 + b"\x44" * 6 + b"\x55" * 4
    assert run(E400, lambda access: access.memory.read(flash(0x80010000, 16)), *steps) == expected


def test_a_block_longer_than_announced_is_never_taken() -> None:
    steps = (
        asked(UPLOAD_16, "75 10 0A"),
        asked("36 01", "76 01" + "11" * 16),
        asked("37", "7F 37 24"),
        asked(UPLOAD_16, "75 10 0A"),
        asked("36 01", "76 01" + "33" * 8),
        asked("36 02", "76 02" + "44" * 8),
        asked("37", "77"),
    )
    assert (
        run(E400, lambda access: access.memory.read(flash(0x80010000, 16)), *steps)
        == b"\x33" * 8 + b"\x44" * 8
    )


def test_a_refused_read_is_not_repeated() -> None:
    with pytest.raises(EcuRefusedError) as caught:
        run(
            T300, lambda access: access.memory.read(flash(0x10000, 1)), asked("23 23 010000 0001", "7F 23 33")
        )
    assert caught.value.refusal is Refusal.SECURITY


@pytest.mark.parametrize("length", [0, -1, MAX_READ_BYTES + 1])
def test_impossible_lengths_are_a_mistake_of_the_caller(length: int) -> None:
    with pytest.raises(ValueError, match="are possible"):
        run(E400, lambda access: access.memory.read(flash(0, length)))


def broken_off(start: int, kept: str) -> tuple[Step, ...]:
    """An upload from there of what is left of 16 bytes, of which one byte arrives or none."""
    begin = asked(f"35 00 44 {start:08X} {0x80010010 - start:08X}", "75 20 0FFF")
    blocks = (
        (asked("36 01", f"76 01 {kept}"), asked("36 02", "7F 36 24"))
        if kept
        else (asked("36 01", "7F 36 24"),)
    )
    return (begin, *blocks, asked("37", "77"))


def test_an_upload_may_break_off_three_times_at_one_place_and_once_more_elsewhere() -> None:
    last = (
        asked("35 00 44 80010001 0000000F", "75 20 0FFF"),
        asked("36 01", "76 01" + "22" * 15),
        asked("37", "77"),
    )
    steps = (
        *broken_off(0x80010000, "") * 3,
        *broken_off(0x80010000, "11"),
        *broken_off(0x80010001, "") * 2,
        *last,
    )
    assert (
        run(E400, lambda access: access.memory.read(flash(0x80010000, 16)), *steps) == b"\x11" + b"\x22" * 15
    )


def test_an_upload_that_breaks_off_a_fourth_time_without_a_byte_is_given_up() -> None:
    with pytest.raises(EcuRefusedError) as caught:
        run(
            E400,
            lambda access: access.memory.read(flash(0x80010000, 16)),
            *(broken_off(0x80010000, "") * 4)[:-1],
        )
    assert caught.value.refusal is Refusal.SEQUENCE


def test_an_upload_that_is_refused_for_another_reason_is_not_begun_again() -> None:
    steps = (asked(UPLOAD_16, "75 20 0FFF"), asked("36 01", "7F 36 33"))
    with pytest.raises(EcuRefusedError) as caught:
        run(E400, lambda access: access.memory.read(flash(0x80010000, 16)), *steps)
    assert caught.value.refusal is Refusal.SECURITY


@pytest.mark.parametrize(
    "ask",
    [
        lambda memory: memory.read(Range("eeprom", 0x80010000, 16)),
        lambda memory: memory.erase(ELSEWHERE),
        lambda memory: memory.program(ELSEWHERE, bytes(16), lambda size: None),
        lambda memory: memory.proves_equal(ELSEWHERE, bytes(16)),
    ],
)
def test_an_address_of_another_memory_is_not_asked_for(ask: Callable[..., Awaitable[object]]) -> None:
    """On the wire it would be taken for that of the flash."""
    with pytest.raises(EcuRefusedError, match="eeprom") as caught:
        run(E400, lambda access: ask(access.memory))
    assert caught.value.refusal is Refusal.UNSUPPORTED
