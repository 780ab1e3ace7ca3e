"""Sessions, unlocks and rituals of each purpose, and what happens when the ECU refuses one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from appliance.protocols.access import (
    EcuAccess,
    EcuRefusedError,
    EcuSilentError,
    Purpose,
    Refusal,
)
from tests.support.places import flash

from .scripted import Step, asked
from .uds_bench import E400, ENTER_E400_WRITING, PRESENT, SESSION_ANSWER, definition, run, vectors


def test_open_for_writing() -> None:
    run(E400, lambda access: access.lifecycle.open(Purpose.WRITE), *ENTER_E400_WRITING)


def test_open_for_writing_with_precondition_and_fingerprint() -> None:
    expected = vectors("pbx-s18")["requests"]
    steps = (
        asked("10 03", f"50 03 {SESSION_ANSWER}"),
        asked(expected["precondition"], "71 01 0203 00"),
        asked("85 02", "C5 02"),
        asked("28 03 01", "68 03"),
        asked("10 02", f"50 02 {SESSION_ANSWER}"),
        asked("27 11", "67 11 1A1B1C1D"),
        asked("27 12 CE4C01D7", "67 12"),
        asked(expected["fingerprint"], "6E F15A"),
    )
    run(definition("pbx-s18"), lambda access: access.lifecycle.open(Purpose.WRITE), *steps)


def test_open_for_reading_in_each_session() -> None:
    locked = (asked("27 01", "67 01 12345678"), asked("27 02 4CD9B278", "67 02"))
    extended = asked("10 03", f"50 03 {SESSION_ANSWER}")
    programming = asked("10 02", f"50 02 {SESSION_ANSWER}")

    def opened(session: str, *steps: Step) -> None:
        chosen = definition("pbx-e400", sessions={"read_session": session})
        run(chosen, lambda access: access.lifecycle.open(Purpose.READ), *steps, *locked)

    opened("default")
    opened("extended", extended)
    opened("programming", extended, programming)


def test_an_unlocked_level_gets_no_key() -> None:
    steps = (*ENTER_E400_WRITING[:4], asked("27 03", "67 03 00000000"))
    run(E400, lambda access: access.lifecycle.open(Purpose.WRITE), *steps)


def test_recovery_needs_only_the_programming_session_and_the_unlock() -> None:
    """A dead application: refusals and silence on everything else, and the write goes on all the same."""
    steps = (
        asked("10 03", "7F 10 12"),
        asked("31 01 0203"),
        PRESENT,
        asked("31 01 0203", "7F 31 7F"),
        asked("85 02", "7F 85 11"),
        asked("28 03 01", "7F 28 11"),
        asked("10 02", f"50 02 {SESSION_ANSWER}"),
        asked("27 11", "67 11 1A1B1C1D"),
        asked("27 12 CE4C01D7", "67 12"),
        asked("2E F15A 261120504258000001", "7F 2E 31"),
    )

    async def scenario(access: EcuAccess) -> float:
        await access.lifecycle.open(Purpose.RECOVER)
        return asyncio.get_running_loop().time()

    assert run(definition("pbx-s18"), scenario, *steps) < 1.0


def test_recovery_gives_a_silent_ecu_up_within_seconds() -> None:
    async def scenario(access: EcuAccess) -> float:
        with pytest.raises(EcuSilentError):
            await access.lifecycle.open(Purpose.RECOVER)
        return asyncio.get_running_loop().time()

    steps = (asked("10 03"), *[asked("3E 00")] * 9)
    assert run(E400, scenario, *steps) < 10.0


@pytest.mark.parametrize(
    ("refused_step", "refusal"), [("10 03", Refusal.CONDITIONS), ("85 02", Refusal.CONDITIONS)]
)
def test_writing_needs_every_step(refused_step: str, refusal: Refusal) -> None:
    names = ["10 03", "85 02"]
    at = names.index(refused_step)
    sid = refused_step[:2]
    steps = (*ENTER_E400_WRITING[:at], asked(refused_step, f"7F {sid} 22"))
    with pytest.raises(EcuRefusedError) as caught:
        run(E400, lambda access: access.lifecycle.open(Purpose.WRITE), *steps)
    assert caught.value.refusal is refusal


def test_a_refused_key_is_tried_once_more_and_never_again() -> None:
    wrong = (asked("27 03", "67 03 FFFFFFFF"), asked("27 04 3F211BFF", "7F 27 35"))
    with pytest.raises(EcuRefusedError) as caught:
        run(
            E400, lambda access: access.lifecycle.open(Purpose.WRITE), *ENTER_E400_WRITING[:4], *wrong, *wrong
        )
    assert (caught.value.refusal, caught.value.code) == (Refusal.SECURITY, 0x35)


@pytest.mark.parametrize("purpose", [Purpose.WRITE, Purpose.RECOVER])
def test_after_a_failed_unlock_the_bootloader_is_not_asked_for_the_extended_session(purpose: Purpose) -> None:
    async def scenario(access: EcuAccess) -> None:
        with pytest.raises(EcuRefusedError):
            await access.lifecycle.open(purpose)
        await access.lifecycle.open(purpose)

    locked = asked("27 03", "7F 27 37")
    anew = asked("10 02", f"50 02 {SESSION_ANSWER}")
    run(E400, scenario, *ENTER_E400_WRITING[:4], locked, anew, *ENTER_E400_WRITING[4:])


@pytest.mark.parametrize("first", ["lost", "unlocked"])
def test_an_ecu_that_has_left_its_bootloader_is_taken_there_the_whole_way(first: str) -> None:
    async def scenario(access: EcuAccess) -> None:
        with suppress(EcuSilentError):
            await access.lifecycle.open(Purpose.WRITE)
        await access.lifecycle.open(Purpose.WRITE)

    no_answer = (asked("10 02"), *[asked("3E 00")] * 3)
    before = ENTER_E400_WRITING if first == "unlocked" else (*ENTER_E400_WRITING[:3], *no_answer)
    refused = (*([PRESENT] if first == "lost" else []), asked("10 02", "7F 10 7E"))
    run(E400, scenario, *before, *refused, *ENTER_E400_WRITING)


def test_a_refused_programming_session_was_not_entered() -> None:
    async def scenario(access: EcuAccess) -> None:
        with pytest.raises(EcuRefusedError):
            await access.lifecycle.open(Purpose.WRITE)
        await access.lifecycle.open(Purpose.WRITE)

    run(E400, scenario, *ENTER_E400_WRITING[:3], asked("10 02", "7F 10 22"), *ENTER_E400_WRITING)


UNLOCKED_READ = (asked("23 44 80010000 00000010", "63" + "11" * 16), PRESENT)
OTHER_PROBE = asked("22 F186", "62 F186 03")
"""Probes take turns, so that an answer held back to one is not taken for that to the next."""
DENIED_READ = asked("23 44 80010000 00000010", "7F 23 33")
BY_ADDRESS = definition("pbx-e400", reading={"method": "by_address"}, sessions={"read_session": "extended"})
ENTER_READING = (
    asked("10 03", f"50 03 {SESSION_ANSWER}"),
    asked("27 01", "67 01 12345678"),
    asked("27 02 4CD9B278", "67 02"),
)


async def _read(access: EcuAccess) -> Refusal | None:
    try:
        await access.memory.read(flash(0x80010000, 16))
    except EcuRefusedError as error:
        assert error.code == 0x33
        return error.refusal
    return None


def test_an_unlock_that_held_and_is_missing_later_was_lost_with_its_session() -> None:
    async def scenario(access: EcuAccess) -> list[Refusal | None]:
        await access.lifecycle.open(Purpose.READ)
        first = [await _read(access), await _read(access)]
        await access.lifecycle.open(Purpose.READ)
        return [*first, await _read(access)]

    steps = (*ENTER_READING, *UNLOCKED_READ, DENIED_READ, *ENTER_READING, UNLOCKED_READ[0], OTHER_PROBE)
    assert run(BY_ADDRESS, scenario, *steps) == [None, Refusal.SESSION_LOST, None]


def test_an_unlock_that_never_sufficed_is_no_lost_session() -> None:
    async def scenario(access: EcuAccess) -> list[Refusal | None]:
        await access.lifecycle.open(Purpose.READ)
        return [await _read(access), await _read(access)]

    steps = (*ENTER_READING, DENIED_READ, DENIED_READ)
    assert run(BY_ADDRESS, scenario, *steps) == [Refusal.SECURITY] * 2


def test_where_no_unlock_is_defined_its_want_is_no_lost_session() -> None:
    chosen = definition(
        "pbx-e400",
        reading={"method": "by_address"},
        sessions={"read_session": "default", "read_security": None},
    )

    async def scenario(access: EcuAccess) -> list[Refusal | None]:
        await access.lifecycle.open(Purpose.READ)
        return [await _read(access), await _read(access)]

    assert run(chosen, scenario, *UNLOCKED_READ, DENIED_READ) == [None, Refusal.SECURITY]


@pytest.mark.parametrize("code", ["36", "37"])
def test_a_locked_out_tester_does_not_try_again(code: str) -> None:
    steps = (*ENTER_E400_WRITING[:4], asked("27 03", f"7F 27 {code}"))
    with pytest.raises(EcuRefusedError) as caught:
        run(E400, lambda access: access.lifecycle.open(Purpose.WRITE), *steps)
    assert caught.value.refusal is Refusal.LOCKED_OUT


def test_after_a_lost_answer_to_the_key_the_seed_tells_whether_it_arrived() -> None:
    steps = (*ENTER_E400_WRITING[:5], asked("27 04 3F211BFF"), PRESENT, asked("27 03", "67 03 00000000"))
    run(E400, lambda access: access.lifecycle.open(Purpose.WRITE), *steps)


def test_close_gives_everything_back_and_never_raises() -> None:
    async def scenario(access: EcuAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        await access.lifecycle.close()
        await access.lifecycle.close()

    refusals = (asked("28 00 01", "7F 28 11"), asked("85 01"), PRESENT, asked("85 01"))
    silence = [asked("3E 00")] * 2
    run(E400, scenario, *ENTER_E400_WRITING, *refusals, *silence)


def test_an_access_that_was_not_opened_sends_nothing_when_closed() -> None:
    run(E400, lambda access: access.lifecycle.close())
