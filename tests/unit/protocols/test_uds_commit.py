"""What the ECU proves of its memory, and the way back to its application."""

from __future__ import annotations

import pytest

from appliance.protocols.access import (
    EcuRefusedError,
    Refusal,
)

from .scripted import asked
from .uds_bench import (
    APPLICATION_ANSWERS,
    E400,
    PRESENT,
    SESSION_ANSWER,
    SW,
    T300,
    definition,
    first_block,
    run,
    vectors,
)


@pytest.mark.parametrize("name", ["pbx-e400", "pbx-fd20", "pbx-x050"])
def test_a_hash_proves_or_disproves(name: str) -> None:
    check = vectors(name)["requests"]["check"]
    block = first_block(name)
    expected = bytes.fromhex(check["fill_byte"]) * block.size

    def proven(answer: str) -> bool | None:
        steps = (asked(check["request"], answer), PRESENT)
        return run(definition(name), lambda access: access.memory.proves_equal(block, expected), *steps)

    assert proven(check["response"]) is True
    assert proven("71 01 0202 00000000") is False


def test_a_comparison_proves_or_disproves() -> None:
    check = vectors("pbx-s18")["requests"]["check"]
    block = first_block("pbx-s18")
    expected = bytes.fromhex(check["fill_byte"]) * block.size

    def proven(answer: str) -> bool | None:
        steps = (asked(check["request"], answer), PRESENT)
        return run(definition("pbx-s18"), lambda access: access.memory.proves_equal(block, expected), *steps)

    assert proven("71 01 0202 00") is True
    assert proven("71 01 0202 02") is False


def test_without_a_routine_nothing_is_claimed() -> None:
    block = first_block("pbx-t300")
    assert run(T300, lambda access: access.memory.proves_equal(block, bytes(block.size))) is None


RESTORED = (
    asked("10 03", f"50 03 {SESSION_ANSWER}"),
    asked("28 00 01", "68 00"),
    asked("85 01", "C5 01"),
    asked("10 01", f"50 01 {SESSION_ANSWER}"),
)


def test_commit_checks_resets_and_waits_for_the_application() -> None:
    steps = (
        asked("31 01 FF01", "71 01 FF01 00"),
        PRESENT,
        asked("11 01", "51 01"),
        asked("22 F186"),
        *[asked("3E 00")] * 2,
        asked("3E 00", "7E 00"),
        asked("22 F186", "62 F186 01"),
        asked("22 F188", f"62 F188 {SW}"),
    )
    run(E400, lambda access: access.lifecycle.commit(), *steps, *RESTORED)


def test_commit_survives_a_reset_that_swallowed_its_own_answer() -> None:
    checked = (asked("31 01 FF01", "71 01 FF01 00"), PRESENT)
    steps = (*checked, asked("11 01"), PRESENT, *APPLICATION_ANSWERS)
    run(E400, lambda access: access.lifecycle.commit(), *steps, *RESTORED)


def test_an_ecu_that_does_not_accept_its_memory_is_not_reset() -> None:
    with pytest.raises(EcuRefusedError, match="dependencies failed with status 02"):
        run(E400, lambda access: access.lifecycle.commit(), asked("31 01 FF01", "71 01 FF01 02"), PRESENT)


def test_an_ecu_that_stays_in_its_bootloader_is_reset_once_more_and_then_reported() -> None:
    reset = (asked("11 01", "51 01"), *[asked("22 F186", "62 F186 02")] * 21)
    with pytest.raises(EcuRefusedError, match="stays in its bootloader") as caught:
        checked = (asked("31 01 FF01", "71 01 FF01 00"), PRESENT)
        run(E400, lambda access: access.lifecycle.commit(), *checked, *reset, *reset)
    assert caught.value.refusal is Refusal.PROGRAMMING
