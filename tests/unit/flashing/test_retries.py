"""How long and how often the heart insists, to the second and to the last try: on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from appliance.definitions.schema import Definition
from appliance.flashing.retries import BlockRetries, open_persistently, persistently
from appliance.protocols.access import (
    AccessError,
    EcuRefusedError,
    EcuSilentError,
    LinkLostError,
    NotBegunError,
    Purpose,
    Refusal,
)
from simulator.virtualtime import run_virtual
from tests.support.box import Box, Verify, small_definition
from tests.support.probe_access import Fault, ProbeAccess

CONDITIONS = (Refusal.CONDITIONS, Refusal.VOLTAGE)
PASSING = (Refusal.SEQUENCE, Refusal.SESSION_LOST)
ENDLESS = 10_000
TRIES, PATIENCE_S = 9, 33.7
"""Of whatever may pass by itself."""
LOCKED_OUT_S = 8 * 11.0
CONDITION_TRIES, CONDITION_PATIENCE_S = 121, 240.0
"""Of a half-written ECU that waits for a charger, or for somebody who stops the engine."""


@pytest.fixture
def verify() -> Verify:
    return "hash"


@pytest.fixture
def definition() -> Definition:
    return small_definition()


@pytest.fixture
def box(box: Box) -> Box:
    """Its job knows its ECU, which is asked for its name whenever it is opened again."""
    return box.in_preflight()


Action = Callable[[], Awaitable[None]]


def insisted(error: AccessError, action: Callable[[Action], Awaitable[None]]) -> tuple[int, float]:
    """Tries and seconds until the error comes out."""

    async def main() -> tuple[int, float]:
        tries = 0

        async def fail() -> None:
            nonlocal tries
            tries += 1
            raise error

        with pytest.raises(type(error)) as caught:
            await action(fail)
        assert caught.value is error
        return tries, round(asyncio.get_running_loop().time(), 3)

    return run_virtual(main())


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_is_borne_as_often_and_as_long_as_its_kind_may_last(
    box: Box, refusal: Refusal, purpose: Purpose
) -> None:
    expected = (1, 0.0)
    if purpose is Purpose.RECOVER and refusal in (*CONDITIONS, Refusal.BUSY):
        expected = (CONDITION_TRIES, CONDITION_PATIENCE_S)
    elif refusal is Refusal.LOCKED_OUT:
        expected = (TRIES, LOCKED_OUT_S)
    elif refusal in (*PASSING, Refusal.BUSY):
        expected = (TRIES, PATIENCE_S)
    error = EcuRefusedError(refusal, "no")
    assert insisted(error, lambda fail: persistently(box.job, purpose, fail)) == expected


@pytest.mark.parametrize("error", [EcuSilentError("nothing"), LinkLostError("bus-off")], ids=str)
def test_silence_and_a_lost_link_are_borne_for_half_a_minute(box: Box, error: AccessError) -> None:
    assert insisted(error, lambda fail: persistently(box.job, Purpose.WRITE, fail)) == (TRIES, PATIENCE_S)


def test_nonsense_is_not_borne(box: Box) -> None:
    assert insisted(AccessError("?"), lambda fail: persistently(box.job, Purpose.READ, fail)) == (1, 0.0)


def test_opening_again_draws_on_the_patience_of_what_it_is_for(box: Box, access: ProbeAccess) -> None:
    """Eight pauses in all: the first was the action's, the others are those of opening the ECU for it."""
    access.faults.append(Fault("open", times=ENDLESS, error=LinkLostError("gone")))

    async def main() -> float:
        with pytest.raises(LinkLostError):
            await persistently(box.job, Purpose.RECOVER, lambda: _raise(EcuSilentError("nothing")))
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(PATIENCE_S)
    assert access.calls["open"] == 8


async def _raise(error: AccessError) -> None:
    raise error


def test_opening_alone_is_borne_as_long(box: Box, access: ProbeAccess) -> None:
    access.faults.append(Fault("open", times=ENDLESS, error=LinkLostError("gone")))

    async def main() -> float:
        with pytest.raises(LinkLostError):
            await open_persistently(box.job, Purpose.WRITE)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(PATIENCE_S)
    assert access.calls["open"] == TRIES


def stumbled(box: Box, *errors: AccessError, touched: bool = True) -> tuple[int, float]:
    """Stumbles borne by one block, and seconds until the next is not; the errors come in turn."""

    async def main() -> tuple[int, float]:
        retries = BlockRetries(box.job)
        for borne in range(ENDLESS):
            error = errors[borne % len(errors)]
            try:
                await retries.start_again(error, Purpose.RECOVER, touched=touched)
            except AccessError as raised:
                assert raised is error
                return borne, round(asyncio.get_running_loop().time(), 3)
        raise AssertionError("borne for ever")

    return run_virtual(main())


NOT_YET = EcuRefusedError(Refusal.CONDITIONS, "22")
NOT_BEGUN = NotBegunError(Refusal.CONDITIONS, "22")


@pytest.mark.parametrize(
    ("error", "borne", "seconds"),
    [
        (NOT_BEGUN, 120, 240.0),
        (NotBegunError(Refusal.VOLTAGE, "93"), 120, 240.0),
        (NotBegunError(Refusal.BUSY, "21"), 120, 240.0),
        (NOT_YET, 12, 242.0),
        (EcuRefusedError(Refusal.VOLTAGE, "93"), 12, 242.0),
        (EcuRefusedError(Refusal.BUSY, "21"), 12, 242.0),
        (EcuRefusedError(Refusal.PROGRAMMING, "72"), 2, 0.4),
        (NotBegunError(Refusal.UNSUPPORTED, "31"), 2, 0.4),
        (EcuRefusedError(Refusal.SECURITY, "33"), 2, 0.4),
        (AccessError("nonsense"), 2, 0.4),
        (EcuSilentError("nothing"), 8, PATIENCE_S),
        (LinkLostError("gone"), 8, PATIENCE_S),
        (EcuRefusedError(Refusal.SEQUENCE, "24"), 8, PATIENCE_S),
        (NotBegunError(Refusal.SESSION_LOST, "7F"), 8, PATIENCE_S),
        (EcuRefusedError(Refusal.LOCKED_OUT, "37"), 8, 88.0),
    ],
    ids=repr,
)
def test_one_block_may_stumble_so_often(box: Box, error: AccessError, borne: int, seconds: float) -> None:
    assert stumbled(box, error) == (borne, seconds)


def test_kinds_of_stumbles_are_counted_apart(box: Box) -> None:
    silence, failure = EcuSilentError("nothing"), EcuRefusedError(Refusal.PROGRAMMING, "72")
    assert stumbled(box, silence, NOT_BEGUN, silence, failure)[0] == 11


@pytest.mark.parametrize("refusal", Refusal)
def test_untouched_only_what_a_new_session_mends_is_borne(box: Box, refusal: Refusal) -> None:
    borne, _ = stumbled(box, EcuRefusedError(refusal, "no"), touched=False)
    assert borne == (8 if refusal in PASSING else 0)


def test_opening_for_a_block_draws_on_one_budget_of_it(box: Box, access: ProbeAccess) -> None:
    """Every try to open it again fails once: eight in all, not eight for each time the block stumbles."""
    for call in range(1, 40, 2):
        access.faults.append(Fault("open", call, error=LinkLostError("gone")))
    borne, _ = stumbled(box, EcuSilentError("nothing"))
    assert (borne, access.calls["open"]) == (8, 16)
    access.faults.clear()
    access.faults.append(Fault("open", access.calls["open"] + 1, ENDLESS, LinkLostError("gone")))
    with pytest.raises(LinkLostError):
        run_virtual(
            BlockRetries(box.job).start_again(EcuSilentError("nothing"), Purpose.RECOVER, touched=True)
        )
    assert access.calls["open"] == 16 + TRIES


def test_a_condition_is_waited_for_without_opening_the_ecu_again(box: Box, access: ProbeAccess) -> None:
    stumbled(box, NOT_BEGUN)
    assert access.calls["open"] == 0
    stumbled(box, EcuSilentError("nothing"))
    assert access.calls["open"] == 8
