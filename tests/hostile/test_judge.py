"""The judge can say no: products that lie, each in its own way, are caught by the runs."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.places import Range
from appliance.engine.context import EngineContext
from appliance.engine.operations.registry import prepare
from appliance.protocols.access import Block
from appliance.protocols.kwp2000.memory import KwpMemory
from appliance.protocols.uds.memory import UdsMemory
from tests.hostile import can
from tests.hostile import run as runs
from tests.hostile.judge import (
    BrokenPromiseError,
    Told,
    Truth,
    judge_error,
    judge_rest,
    judge_sealed,
    judge_success,
    judge_time,
    judge_wear,
)
from tests.hostile.runs import campaign
from tests.hostile.spite import Spite

Work = Callable[[EngineContext], Awaitable[dict[str, Any]]]
Honest = Callable[[str, dict[str, Any]], Work]


def broken_by(
    monkeypatch: pytest.MonkeyPatch,
    lie: Callable[[Work], Work] | None = None,
    *kinds: str,
    runs_: int = 12,
    wire: str = "can",
) -> str:
    """What the judge says of a few runs of these kinds, with every operation of the box replaced by a lie."""
    if lie is not None:
        monkeypatch.setattr(runs, "prepare", lambda verb, asked: lie(prepare(verb, asked)))
    if kinds:
        monkeypatch.setattr(runs, "KINDS", kinds)
    return "\n".join(
        result.broken for result in campaign(9, runs_, "hash" if wire == "can" else "fast", wire=wire)
    )


def spiteful(monkeypatch: pytest.MonkeyPatch, kind: str, service: int, rate: float = 0.5) -> None:
    """Every ECU does this one thing wrong."""
    monkeypatch.setattr(can, "FRAMES_SHARE", 0.0)
    monkeypatch.setattr(
        can, "spite_for", lambda dice, frames: Spite(random.Random(dice.random()), rate, (kind,), (service,))
    )


@pytest.mark.parametrize("wire", ["can", "kline"])
@pytest.mark.parametrize(("kind", "word"), [("write", "done"), ("rescue", "restored")])
def test_invented_success_is_caught(monkeypatch: pytest.MonkeyPatch, kind: str, word: str, wire: str) -> None:
    async def lying(box: EngineContext) -> dict[str, Any]:
        return {"result": word}

    assert f"{word}, and" in broken_by(monkeypatch, lambda honest: lying, kind, wire=wire)


def test_a_box_that_does_not_verify_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def blind(access: UdsMemory, block: Block, expected: bytes) -> bool:
        return not isinstance(access, UdsMemory) or bool(expected)

    spiteful(monkeypatch, "not_done", 0x36)
    monkeypatch.setattr(UdsMemory, "proves_equal", blind)
    assert "bytes are wrong" in broken_by(monkeypatch, None, "write")


def test_a_box_on_a_k_line_that_hears_what_it_wants_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    list(campaign(9, 1, "fast", wire="kline"))  # the box's former life is an honest one
    read = KwpMemory.read

    async def misread(access: KwpMemory, place: Range, *, upwards: bool = True) -> bytes:
        return bytes(byte ^ 1 for byte in await read(access, place, upwards=upwards))

    monkeypatch.setattr(KwpMemory, "read", misread)
    assert "a wrong original was sealed" in broken_by(monkeypatch, None, "read", wire="kline")


def test_a_wrong_original_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    list(campaign(9, 1, "hash"))  # the box's former life is an honest one
    read = UdsMemory.read

    async def misread(access: UdsMemory, place: Range, *, upwards: bool = True) -> bytes:
        """The same wrong bytes each time, in whatever pieces: no second look shows them."""
        return bytes(byte ^ 1 for byte in await read(access, place, upwards=upwards))

    monkeypatch.setattr(UdsMemory, "read", misread)
    assert "a wrong original was sealed" in broken_by(monkeypatch, None, "read")


def test_soothing_words_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def soothing(error: PitboxError, *_arguments: object, **_options: object) -> None:
        error.ecu = EcuSafety.UNTOUCHED

    spiteful(monkeypatch, "refused", 0x34, 1.0)
    monkeypatch.setattr(runs, "tell_safety", soothing)
    assert "says untouched, and memory has changed" in broken_by(monkeypatch, None, "write")


def test_a_forgotten_write_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(honest: Work) -> Work:
        async def work(box: EngineContext) -> dict[str, Any]:
            try:
                return await honest(box)
            finally:
                for flash in box.journal.open_flashes():
                    box.journal.close_flash(flash.id, flash.job_id, JobState.READ_VERIFIED, "forgotten")

        return work

    monkeypatch.setattr("appliance.flashing.journal.may_move", lambda old, new: True)
    monkeypatch.setattr(runs, "tell_safety", lambda *_arguments, **_options: None)
    spiteful(monkeypatch, "refused", 0x34, 1.0)
    assert "no write is open and the job is read_verified" in broken_by(monkeypatch, forgetful, "write")


def test_wear_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    erase = UdsMemory.erase

    async def again_and_again(access: UdsMemory, block: Block) -> None:
        for _ in range(31):
            await erase(access, block)

    monkeypatch.setattr(UdsMemory, "erase", again_and_again)
    assert "by one operation" in broken_by(monkeypatch, None, "write")


def test_what_escapes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def escaping(box: EngineContext) -> dict[str, Any]:
        raise KeyError("x")

    assert "KeyError" in broken_by(monkeypatch, lambda honest: escaping, runs_=1)


@pytest.mark.parametrize(("seconds", "told"), [(5000.0, "took 5000 s"), (1e6, "is not over after")])
def test_what_takes_for_ever_is_caught(monkeypatch: pytest.MonkeyPatch, seconds: float, told: str) -> None:
    async def slow(box: EngineContext) -> dict[str, Any]:
        await asyncio.sleep(seconds)
        raise PitboxError("X", "what", do_now="now")

    assert told in broken_by(monkeypatch, lambda honest: slow, runs_=1)


def test_a_box_that_never_recovers_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refusing(box: EngineContext) -> dict[str, Any]:
        raise PitboxError("X", "what", do_now="now")

    assert "after the ECU became honest" in broken_by(monkeypatch, lambda honest: refusing, runs_=1)


STOCK, TUNED, GARBAGE = b"stock", b"tuned", b"trash"


def truth(memory: bytes, valid: bool = True) -> Truth:
    return Truth(memory, valid, STOCK, True, STOCK, TUNED)


def test_each_rule_can_say_no() -> None:
    half = Told(JobState.READ_VERIFIED, 0)
    untouched = PitboxError("X", "what", do_now="now")
    untouched.ecu = EcuSafety.UNTOUCHED
    for broken in (
        lambda: judge_success("done", truth(STOCK)),
        lambda: judge_success("restored", truth(TUNED)),
        lambda: judge_success("done", truth(TUNED, valid=False)),
        lambda: judge_sealed(None, truth(STOCK)),
        lambda: judge_sealed(STOCK[:-1], truth(STOCK)),
        lambda: judge_error(PitboxError("X", "what", do_now=""), truth(STOCK), half),
        lambda: judge_error(untouched, truth(GARBAGE), half),
        lambda: judge_error(untouched, truth(STOCK, valid=False), half),
        lambda: judge_rest(truth(GARBAGE), half),
        lambda: judge_rest(truth(STOCK, valid=False), half),
        lambda: judge_rest(truth(STOCK), Told(JobState.DONE, 0)),
        lambda: judge_wear(Counter(), Counter({1: 31}), 30),
        lambda: judge_time(3601.0),
    ):
        with pytest.raises(BrokenPromiseError):
            broken()


def test_what_is_right_is_none_of_the_judges_business() -> None:
    untouched = PitboxError("X", "what", do_now="now")
    untouched.ecu = EcuSafety.UNTOUCHED
    judge_success("done", truth(TUNED))
    judge_success("restored", truth(STOCK))
    judge_sealed(STOCK, truth(STOCK))
    judge_error(untouched, truth(STOCK), Told(JobState.READ_VERIFIED, 0))
    judge_rest(truth(GARBAGE, valid=False), Told(JobState.INTERRUPTED, 1))
    judge_rest(truth(TUNED), Told(JobState.DONE, 0))
    judge_wear(Counter({1: 5}), Counter({1: 35}), 30)
    judge_time(3600.0)
