"""Erases and downloads, byte for byte, and with answers lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.definitions.access.uds import uds_access
from appliance.definitions.schema import Definition
from appliance.protocols.access import (
    Block,
    EcuAccess,
    EcuRefusedError,
    EcuSilentError,
    NotBegunError,
    Purpose,
    Refusal,
)
from tests.support.places import flash

from .scripted import Step, asked, later
from .uds_bench import (
    E400,
    ENTER_E400_WRITING,
    IN_SESSION,
    PACK_NAMES,
    PRESENT,
    SESSION_ANSWER,
    definition,
    first_block,
    no_progress,
    run,
    vectors,
)


@pytest.mark.parametrize("name", PACK_NAMES)
def test_erase_is_asked_for_as_the_vectors_say(name: str) -> None:
    request = vectors(name)["requests"]["erase"]
    pending = ("7F 31 78", later(3.0, "71 01 FF00 00"))
    run(
        definition(name),
        lambda access: access.memory.erase(first_block(name)),
        asked(request, *pending),
        PRESENT,
    )


def test_an_erase_that_failed_is_a_refusal() -> None:
    request = vectors("pbx-e400")["requests"]["erase"]
    steps = (asked(request, "71 01 FF00 01"), PRESENT)
    with pytest.raises(EcuRefusedError, match="erase failed with status 01") as caught:
        run(E400, lambda access: access.memory.erase(first_block("pbx-e400")), *steps)
    assert caught.value.refusal is Refusal.PROGRAMMING


def test_a_lost_erase_is_asked_about_and_never_sent_again() -> None:
    request = vectors("pbx-e400")["requests"]["erase"]
    block = first_block("pbx-e400")
    lost = (asked(request), PRESENT)
    run(
        E400,
        lambda access: access.memory.erase(block),
        *lost,
        asked("31 03 FF00", "71 03 FF00 00"),
        IN_SESSION,
    )
    with pytest.raises(EcuSilentError, match="does not tell its result"):
        run(
            E400,
            lambda access: access.memory.erase(block),
            *lost,
            asked("31 03 FF00", "7F 31 12"),
            IN_SESSION,
        )


@pytest.mark.parametrize("name", PACK_NAMES)
def test_a_download_is_announced_as_the_vectors_say(name: str) -> None:
    block = first_block(name)
    request = vectors(name)["requests"]["request_download"]
    with pytest.raises(EcuRefusedError) as caught:
        run(
            definition(name),
            lambda access: access.memory.program(block, bytes(block.size), no_progress),
            asked(request, "7F 34 31"),
        )
    assert caught.value.refusal is Refusal.UNSUPPORTED


BLOCK = Block("code", flash(0x80010000, 600))
BLOCK_DATA = bytes(range(200)) * 3
ANNOUNCE = asked("34 00 44 80010000 00000258", "74 20 00FE")
PARTS = [BLOCK_DATA[at : at + 252].hex() for at in (0, 252, 504)]


def block_steps(counter: int, *answers: str) -> Step:
    return asked(f"36 {counter:02X} {PARTS[counter - 1]}", *answers)


def test_blocks_count_the_header_into_the_ecus_maximum() -> None:
    seen: list[int] = []
    steps = (*(block_steps(counter, f"76 {counter:02X}") for counter in (1, 2, 3)), asked("37", "77"))
    run(E400, lambda access: access.memory.program(BLOCK, BLOCK_DATA, seen.append), ANNOUNCE, *steps)
    assert seen == [252, 252, 96]


def test_the_definitions_limit_applies_besides() -> None:
    limited = definition("pbx-e400", writing={"block_bytes": 202})
    parts = [BLOCK_DATA[at : at + 200].hex() for at in (0, 200, 400)]
    steps = [asked(f"36 {n:02X} {part}", f"76 {n:02X}") for n, part in enumerate(parts, 1)]
    write = uds_access(limited).writing
    assert write.block_bytes == 202
    run(
        limited,
        lambda access: access.memory.program(BLOCK, BLOCK_DATA, no_progress),
        ANNOUNCE,
        *steps,
        asked("37", "77"),
    )


def test_a_lost_acknowledge_repeats_the_block_under_its_number() -> None:
    seen: list[int] = []
    steps = (
        block_steps(1, "76 01"),
        block_steps(2),
        PRESENT,
        block_steps(2, "76 02"),
        block_steps(3, "76 03"),
        asked("37"),
        PRESENT,
        asked("37", "7F 37 24"),
    )
    run(E400, lambda access: access.memory.program(BLOCK, BLOCK_DATA, seen.append), ANNOUNCE, *steps)
    assert sum(seen) == len(BLOCK_DATA)


def test_the_counter_wraps_to_zero() -> None:
    block = Block("code", flash(0x80010000, 300))
    steps = [asked(f"36 {n & 0xFF:02X} 00", f"76 {n & 0xFF:02X}") for n in range(1, 301)]
    announce = asked("34 00 44 80010000 0000012C", "74 10 03")
    run(
        E400,
        lambda access: access.memory.program(block, bytes(300), no_progress),
        announce,
        *steps,
        asked("37", "77"),
    )


def test_a_refused_block_is_the_callers_to_judge() -> None:
    with pytest.raises(EcuRefusedError) as caught:
        run(
            E400,
            lambda access: access.memory.program(BLOCK, BLOCK_DATA, no_progress),
            ANNOUNCE,
            block_steps(1, "7F 36 72"),
        )
    assert caught.value.refusal is Refusal.PROGRAMMING


def test_a_download_left_open_is_ended_before_the_next_erase() -> None:
    async def scenario(access: EcuAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        with pytest.raises(EcuRefusedError):
            await access.memory.program(BLOCK, BLOCK_DATA, no_progress)
        await access.memory.erase(first_block("pbx-e400"))

    steps = (
        ANNOUNCE,
        block_steps(1, "7F 36 93"),
        asked("37", "7F 37 24"),
        asked(vectors("pbx-e400")["requests"]["erase"], "71 01 FF00 00"),
        PRESENT,
    )
    run(E400, scenario, *ENTER_E400_WRITING, *steps)


def test_a_lost_announcement_that_may_have_spent_the_erase_asks_for_another() -> None:
    steps = (
        asked("34 00 44 80010000 00000258"),
        PRESENT,
        asked("37", "7F 37 24"),
        asked("34 00 44 80010000 00000258", "7F 34 70"),
        asked("10 01", f"50 01 {SESSION_ANSWER}"),
        asked("34 00 44 80010000 00000258", "7F 34 70"),
    )
    with pytest.raises(EcuSilentError, match="RequestDownload was lost"):
        run(E400, lambda access: access.memory.program(BLOCK, BLOCK_DATA, no_progress), *steps)


IN_THE_WAY = asked("34 00 44 80010000 00000258", "7F 34 22")
ANEW = (asked("10 02", f"50 02 {SESSION_ANSWER}"), asked("27 03", "67 03 00000000"))
RESETTABLE = definition("pbx-e400", recovery={"reset_allowed": True})
FIXED = definition("pbx-e400", recovery={"reset_allowed": False})
RESTARTED = (asked("11 01", "51 01"), *ENTER_E400_WRITING)


@pytest.mark.parametrize("code", ["22", "24", "70"])
def test_a_download_refused_for_a_transfer_left_open_is_begun_once_that_is_ended(code: str) -> None:
    refused = asked("34 00 44 80010000 00000258", f"7F 34 {code}")
    sent = [block_steps(counter, f"76 {counter:02X}") for counter in (1, 2, 3)]

    async def scenario(access: EcuAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        await access.memory.program(BLOCK, BLOCK_DATA, no_progress)

    ended = (refused, asked("37", "7F 37 24"))
    finished = (ANNOUNCE, *sent, asked("37", "77"))
    run(E400, scenario, *ENTER_E400_WRITING, *ended, *finished)
    run(E400, scenario, *ENTER_E400_WRITING, *ended, refused, *ANEW, *finished)
    if code == "22":
        run(RESETTABLE, scenario, *ENTER_E400_WRITING, *ended, refused, *ANEW, refused, *RESTARTED, *finished)


@pytest.mark.parametrize(("chosen", "last"), [(FIXED, ()), (RESETTABLE, (*RESTARTED, IN_THE_WAY))])
def test_what_ends_a_transfer_is_tried_once_where_it_is_in_vain(
    chosen: Definition, last: tuple[Step, ...]
) -> None:
    async def scenario(access: EcuAccess) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        for _ in range(3):
            with pytest.raises(NotBegunError) as caught:
                await access.memory.program(BLOCK, BLOCK_DATA, no_progress)
            assert caught.value.refusal is Refusal.CONDITIONS

    tried = (IN_THE_WAY, asked("37", "7F 37 24"), IN_THE_WAY, *ANEW, IN_THE_WAY, *last)
    run(chosen, scenario, *ENTER_E400_WRITING, *tried, IN_THE_WAY, IN_THE_WAY)


@pytest.mark.parametrize("code", ["10", "24", "70", "71", "72"])
def test_a_download_refused_for_its_memory_wants_another_erase(code: str) -> None:
    refused = asked("34 00 44 80010000 00000258", f"7F 34 {code}")
    tried = (asked("37", "7F 37 24"), refused, asked("10 01", f"50 01 {SESSION_ANSWER}"), refused)
    with pytest.raises(EcuRefusedError) as caught:
        run(
            E400,
            lambda access: access.memory.program(BLOCK, BLOCK_DATA, no_progress),
            refused,
            *(tried if code in ("24", "70") else ()),
        )
    assert not isinstance(caught.value, NotBegunError)


@pytest.mark.parametrize("code", ["11", "13", "21", "22", "31", "33", "34", "37", "7F", "81", "92", "93"])
def test_a_download_refused_for_anything_else_leaves_the_block_erased(code: str) -> None:
    refused = asked("34 00 44 80010000 00000258", f"7F 34 {code}")
    again = (asked("37", "7F 37 24"), refused, asked("10 01", f"50 01 {SESSION_ANSWER}"), refused)
    with pytest.raises(NotBegunError, match=f"RequestDownload refused: .*7F 34 {code}") as caught:
        run(
            FIXED,
            lambda access: access.memory.program(BLOCK, BLOCK_DATA, no_progress),
            *([refused] * (11 if code == "21" else 1)),
            *(again if code == "22" else ()),
        )
    assert caught.value.code == int(code, 16)


def test_a_recovery_ends_what_an_earlier_life_left_open_before_it_erases() -> None:
    async def scenario(access: EcuAccess) -> None:
        await access.lifecycle.open(Purpose.RECOVER)
        await access.memory.erase(first_block("pbx-e400"))

    erase = asked(vectors("pbx-e400")["requests"]["erase"], "71 01 FF00 00")
    run(E400, scenario, *ENTER_E400_WRITING, asked("37", "7F 37 24"), erase, PRESENT)


@given(st.binary(max_size=64).filter(lambda data: len(data) != 16))
def test_a_block_is_filled_or_not_begun(data: bytes) -> None:
    with pytest.raises(ValueError, match="for a block of 16"):
        run(E400, lambda access: access.memory.program(Block("code", flash(0, 16)), data, no_progress))


def test_a_block_addressed_ecu_needs_a_block_id() -> None:
    with pytest.raises(ValueError, match="no block id"):
        run(definition("pbx-s18"), lambda access: access.memory.erase(BLOCK))
