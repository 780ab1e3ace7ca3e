from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events import AlarmEvent, NoteEvent
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH, Start
from appliance.definitions.schema import Definition
from appliance.flashing.diagnosis import clear_dtcs, read_dtcs
from appliance.flashing.errors import VerifyFailedError, WriteInterruptedError
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import Step
from appliance.flashing.plan import FlashPlan
from appliance.flashing.recovering import mark_interrupted, recover
from appliance.flashing.safety import standing
from appliance.flashing.write_order import WriteOrder
from appliance.flashing.writing import WriteResult
from appliance.protocols.access import (
    AccessError,
    EcuRefusedError,
    EcuSilentError,
    LinkLostError,
    NotBegunError,
    Purpose,
    Refusal,
)
from appliance.vault.keys import KeyRing
from simulator.virtualtime import run_virtual
from tests.support.box import (
    JOB,
    Box,
    SteadyMeter,
    Verify,
    random_image,
    request_for,
    small_definition,
    tuned_from,
    write_plan,
)
from tests.support.definitions import uds_access, with_access
from tests.support.probe_access import Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

BEFORE_ERASE = sorted(Refusal)
ENDLESS = 10_000
PROOF: dict[Verify, str] = {"hash": "proves_equal", "read_back": "read"}
"""The operation by which memory is proven."""


@pytest.fixture
def plan(definition: Definition, original: MemoryImage) -> FlashPlan:
    """First and last sector of the calibration change."""
    return FlashPlan(request_for(definition, original, tuned_from(definition, original)))


def write_now(box: Box, plan: FlashPlan) -> WriteResult:
    if not box.journal.jobs():
        box.in_preflight()
    return run_virtual(write_plan(box.job, plan))


def recover_now(box: Box, plan: FlashPlan) -> WriteResult:
    flash = mark_interrupted(box.journal)[0]
    order = WriteOrder.from_json(flash.write_order)
    return run_virtual(recover(box.job, flash, order, plan.target))


def steps(box: Box) -> list[Step]:
    flash = box.journal.last_flash(JOB)
    assert flash is not None
    return [step.step for step in box.journal.steps(flash.id)]


def assert_done(box: Box, ecu: ProbeEcu, plan: FlashPlan) -> None:
    assert ecu.image().sha256() == plan.target.sha256()
    assert ecu.running
    assert box.journal.open_flashes() == []
    assert box.state is JobState.DONE


def test_only_what_differs_is_written_where_a_hash_tells(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, verify: Verify
) -> None:
    result = write_now(box, plan)
    assert_done(box, ecu, plan)
    calibration = plan.order.blocks
    assert (result.total, result.verified_blocks) == (4, 12)
    changed = [calibration[0].start, calibration[3].start]
    assert access.erased == (changed if verify == "hash" else [block.start for block in calibration])
    assert (result.written, result.skipped) == ((2, 2) if verify == "hash" else (4, 0))
    assert result.programmed_bytes == result.written * 4096
    assert result.programming_s == pytest.approx(result.programmed_bytes / 200_000)


def test_nothing_is_erased_when_the_target_is_there_already(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    definition: Definition,
    original: MemoryImage,
    verify: Verify,
) -> None:
    result = write_now(box, FlashPlan(request_for(definition, original, None)))
    assert result.outcome is JobState.RESTORED
    assert result.written == (0 if verify == "hash" else 10)
    assert ecu.image().sha256() == original.sha256()


def test_a_definition_that_promises_a_hash_its_access_lacks_is_read_back(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    access.hashing = False
    write_now(box, plan)
    assert_done(box, ecu, plan)


def test_every_intent_is_recorded_before_it_is_acted_on(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    recorded: list[set[Start | None]] = []

    def look() -> None:
        (flash,) = box.journal.open_flashes()
        recorded.append(
            {step.block for step in box.journal.steps(flash.id) if step.step is Step.ERASE_INTENT}
        )

    access.faults.append(Fault("erase", times=ENDLESS, strike=look))
    write_now(box, plan)
    assert len(recorded) == len(access.erased)
    assert all((FLASH, start) in seen for start, seen in zip(access.erased, recorded, strict=True))


@pytest.mark.parametrize("refusal", BEFORE_ERASE)
@pytest.mark.parametrize("where", ["open", "erase"])
def test_a_refusal_before_the_first_erase_leaves_the_ecu_untouched(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    plan: FlashPlan,
    original: MemoryImage,
    refusal: Refusal,
    where: str,
) -> None:
    access.faults.append(Fault(where, times=ENDLESS, error=EcuRefusedError(refusal, "no")))
    with pytest.raises(PitboxError) as caught:
        write_now(box, plan)
    assert caught.value.code == f"ECU_REFUSED_{refusal.value.upper()}"
    assert standing(box.journal, JOB).ecu is EcuSafety.UNTOUCHED
    assert ecu.image().sha256() == original.sha256()
    assert box.journal.open_flashes() == []
    assert box.state is JobState.READ_VERIFIED
    assert access.closes == 1


@pytest.mark.parametrize("refusal", [Refusal.VOLTAGE, Refusal.CONDITIONS, Refusal.SECURITY])
@pytest.mark.parametrize("where", ["open", "erase"])
def test_before_the_first_erase_the_technician_is_told_at_once(
    box: Box, access: ProbeAccess, plan: FlashPlan, refusal: Refusal, where: str
) -> None:
    access.faults.append(Fault(where, error=EcuRefusedError(refusal, "no")))
    with pytest.raises(PitboxError):
        write_now(box, plan)
    assert access.calls[where] == 1


@pytest.mark.parametrize("refusal", [Refusal.VOLTAGE, Refusal.CONDITIONS, Refusal.PROGRAMMING])
def test_a_refusal_that_ends_a_begun_erase_is_not_believed_to_have_changed_nothing(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, refusal: Refusal
) -> None:
    access.faults.append(Fault("erase", bytes_done=512, error=EcuRefusedError(refusal, "in the middle")))
    write_now(box, plan)
    assert_done(box, ecu, plan)


def invalidating(ecu: ProbeEcu, plan: FlashPlan) -> Fault:
    """Every erase clears the ECU's mark of validity, and is refused before its first cell."""

    def invalidate() -> None:
        ecu.incomplete.add(plan.order.blocks[0].place.at)
        ecu.running = False

    return Fault(
        "erase", times=ENDLESS, strike=invalidate, error=EcuRefusedError(Refusal.AUTHENTICATION, "no")
    )


@pytest.mark.parametrize("unasked", [None, EcuRefusedError(Refusal.SEQUENCE, "no"), EcuSilentError("gone")])
def test_memory_alone_does_not_call_a_refused_erase_untouched(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    plan: FlashPlan,
    original: MemoryImage,
    unasked: AccessError | None,
) -> None:
    """The ECU stays in its bootloader, and says so by its check or only by what answers behind it."""
    access.faults.append(invalidating(ecu, plan))
    if unasked is not None:
        access.faults.append(Fault("commit", times=ENDLESS, error=unasked))
    with pytest.raises(WriteInterruptedError):
        write_now(box, plan)
    assert ecu.image().sha256() == original.sha256()
    assert standing(box.journal, JOB).ecu is EcuSafety.HALF_WRITTEN
    assert box.state is JobState.INTERRUPTED
    access.faults.clear()
    recover_now(box, plan)
    assert_done(box, ecu, plan)


@pytest.mark.parametrize("refusal", sorted(set(Refusal) - {Refusal.PROGRAMMING}))
def test_an_ecu_that_checks_nothing_unwritten_is_untouched_where_its_application_returns(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, original: MemoryImage, refusal: Refusal
) -> None:
    access.faults.append(Fault("erase", times=ENDLESS, error=EcuRefusedError(Refusal.AUTHENTICATION, "no")))
    access.faults.append(Fault("commit", times=ENDLESS, error=EcuRefusedError(refusal, "nothing to check")))
    with pytest.raises(PitboxError, match="ECU_REFUSED_AUTHENTICATION"):
        write_now(box, plan)
    assert standing(box.journal, JOB).ecu is EcuSafety.UNTOUCHED
    assert ecu.image().sha256() == original.sha256()
    assert box.state is JobState.READ_VERIFIED


def test_an_ecu_that_says_nothing_after_a_refused_erase_is_touched(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    access.faults.append(Fault("erase", error=EcuRefusedError(Refusal.AUTHENTICATION, "no")))
    access.faults.append(Fault("commit", times=9, error=EcuSilentError("gone")))
    access.faults.append(Fault("state", times=ENDLESS, error=LinkLostError("gone")))
    write_now(box, plan)
    assert_done(box, ecu, plan)
    assert access.calls["state"] == 10


@pytest.mark.parametrize("checks_itself", [True, False])
def test_a_refused_erase_sends_no_ecu_away_that_might_not_come_back(
    tmp_path: Path,
    keys: KeyRing,
    access: ProbeAccess,
    verify: Verify,
    original: MemoryImage,
    checks_itself: bool,
) -> None:
    """Where it does not tell whether its memory is whole, neither a reset nor the end of its session will."""
    definition = small_definition(verify, "bench")
    if not checks_itself:
        definition = with_access(definition, checking={"dependencies_routine": None})
    box = Box(tmp_path / "state", keys, definition, access)
    access.faults.append(Fault("erase", times=ENDLESS, error=EcuRefusedError(Refusal.AUTHENTICATION, "no")))
    access.faults.append(Fault("commit", times=ENDLESS, error=EcuRefusedError(Refusal.SEQUENCE, "no")))
    plan = FlashPlan(request_for(definition, original, tuned_from(definition, original)))
    with pytest.raises(WriteInterruptedError):
        write_now(box, plan)
    assert access.closes == 0
    assert bool(access.calls["commit"]) is checks_itself
    access.faults.clear()
    recover_now(box, plan)
    assert access.ecu.image().sha256() == plan.target.sha256()


@pytest.mark.parametrize("refusal", [Refusal.VOLTAGE, Refusal.CONDITIONS, Refusal.BUSY])
@pytest.mark.parametrize("where", ["erase", "program", "proof", "commit"])
def test_after_the_first_erase_the_box_waits_for_conditions(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    plan: FlashPlan,
    refusal: Refusal,
    where: str,
    verify: Verify,
) -> None:
    where = PROOF[verify] if where == "proof" else where
    times = 10 if where in ("erase", "program") else 20

    def stand_in_the_way() -> None:
        access.faults.append(
            Fault(where, call=access.calls[where] + 1, times=times, error=EcuRefusedError(refusal, "not now"))
        )

    access.faults.append(Fault("erase", call=1, after=True, strike=stand_in_the_way))
    write_now(box, plan)
    assert_done(box, ecu, plan)


@pytest.mark.parametrize("refusal", sorted(set(Refusal) - {Refusal.SEQUENCE, Refusal.PROGRAMMING}))
def test_a_block_that_could_not_be_begun_is_not_erased_again(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, refusal: Refusal
) -> None:
    times = 120 if refusal in (Refusal.CONDITIONS, Refusal.VOLTAGE, Refusal.BUSY) else 2
    access.faults.append(Fault("program", times=times, error=NotBegunError(refusal, "not now")))
    write_now(box, plan)
    assert_done(box, ecu, plan)
    assert len(access.erased) == len(set(access.erased))
    assert steps(box).count(Step.ERASE_INTENT) == len(access.erased)


def test_a_block_that_broke_off_after_it_could_not_be_begun_is_erased_again(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    access.faults += [
        Fault("program", call=1, error=NotBegunError(Refusal.CONDITIONS, "not now")),
        Fault("program", call=2, bytes_done=512, error=EcuSilentError("cut")),
    ]
    write_now(box, plan)
    assert_done(box, ecu, plan)
    assert access.erased[:2] == [plan.order.blocks[0].start] * 2


def bounded(definition: Definition, **bounds: int) -> Definition:
    return with_access(definition, erase_bounds=bounds)


@pytest.mark.parametrize("bounds", [{"most_per_block": 5}, {"most_in_all": 6}], ids=str)
def test_erases_are_bounded_over_all_recoveries_until_a_person_allows_more(
    reborn: Callable[[], Box],
    access: ProbeAccess,
    ecu: ProbeEcu,
    definition: Definition,
    original: MemoryImage,
    bounds: dict[str, int],
) -> None:
    """A block that cannot be programmed is erased three times by the write and by each recovery."""
    definition = bounded(definition, **bounds)
    plan = FlashPlan(request_for(definition, original, tuned_from(definition, original)))
    access.faults.append(
        Fault("program", times=ENDLESS, bytes_done=16, error=EcuRefusedError(Refusal.PROGRAMMING, "72"))
    )

    codes = []
    for attempt in (write_now, recover_now, recover_now):
        box = reborn()
        box.job = replace(box.job, definition=definition, access_definition=uds_access(definition))
        with pytest.raises(WriteInterruptedError) as caught:
            attempt(box, plan)
        codes.append(caught.value.code)
    assert (codes[0], codes[-1]) == ("WRITE_INTERRUPTED", "ERASE_BOUND")
    assert f"pitbox recover --job {JOB} --more-erases" in caught.value.do_now
    most = next(iter(bounds.values()))
    assert len(access.erased) == most
    assert str(most) in caught.value.what
    assert box.state is JobState.INTERRUPTED
    access.faults.clear()
    with pytest.raises(WriteInterruptedError):
        recover_now(box, plan)
    assert len(access.erased) == most
    box.journal.step(box.journal.open_flashes()[0].id, Step.ERASES_ALLOWED)
    recover_now(box, plan)
    assert_done(box, ecu, plan)


@pytest.mark.parametrize("where", ["erase", "program"])
def test_a_condition_that_never_ends_leaves_an_interrupted_write(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, where: str
) -> None:
    access.faults.append(
        Fault(where, call=2, times=ENDLESS, error=EcuRefusedError(Refusal.CONDITIONS, "engine runs"))
    )
    with pytest.raises(WriteInterruptedError) as caught:
        write_now(box, plan)
    assert standing(box.journal, JOB).ecu is EcuSafety.HALF_WRITTEN
    assert f"pitbox recover --job {JOB}" in caught.value.do_now
    assert box.state is JobState.INTERRUPTED
    access.faults.clear()
    recover_now(box, plan)
    assert_done(box, ecu, plan)


@pytest.mark.parametrize(
    "error",
    [
        EcuRefusedError(Refusal.PROGRAMMING, "72"),
        EcuRefusedError(Refusal.SEQUENCE, "24"),
        EcuRefusedError(Refusal.SESSION_LOST, "7F"),
        EcuRefusedError(Refusal.LOCKED_OUT, "37"),
        EcuSilentError("nothing"),
        LinkLostError("bus-off"),
        AccessError("nonsense"),
    ],
    ids=lambda error: getattr(error, "refusal", type(error).__name__),
)
@pytest.mark.parametrize("where", ["erase", "program"])
@pytest.mark.parametrize("bytes_done", [0, 1, 1023, 4096])
def test_a_block_that_stumbled_is_erased_and_programmed_again(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    plan: FlashPlan,
    error: AccessError,
    where: str,
    bytes_done: int,
) -> None:
    access.faults.append(Fault(where, call=2, times=2, bytes_done=bytes_done, error=error))
    write_now(box, plan)
    assert_done(box, ecu, plan)


@pytest.mark.parametrize("refusal", [Refusal.PROGRAMMING, Refusal.SECURITY, Refusal.UNSUPPORTED])
def test_a_block_is_tried_three_times_and_no_more(
    box: Box, access: ProbeAccess, plan: FlashPlan, refusal: Refusal
) -> None:
    access.faults.append(Fault("program", times=ENDLESS, error=EcuRefusedError(refusal, "no")))
    with pytest.raises(WriteInterruptedError):
        write_now(box, plan)
    assert access.calls["program"] == 3
    assert box.state is JobState.INTERRUPTED


def test_a_half_written_ecu_is_opened_without_its_application(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    access.faults.append(Fault("program", call=1, error=LinkLostError("plug")))
    access.faults.append(Fault("commit", call=1, error=LinkLostError("plug")))
    write_now(box, plan)
    assert_done(box, ecu, plan)
    assert access.opened_for == [Purpose.WRITE, Purpose.RECOVER, Purpose.RECOVER]


def test_an_ecu_that_lies_about_programming_is_written_again(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    access.faults.append(Fault("program", call=2, alters=lambda data: b"\0" + data[1:]))
    write_now(box, plan)
    assert_done(box, ecu, plan)
    assert any("writing them again" in event.text for event in box.events if isinstance(event, NoteEvent))


@pytest.mark.parametrize("after_each_block", [False, True])
def test_a_definition_may_have_each_block_checked_before_the_next_is_erased(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    definition: Definition,
    original: MemoryImage,
    after_each_block: bool,
) -> None:
    """What the ECU calls bad right after it was programmed is written again while nothing else is erased."""
    checked = with_access(definition, checking={"after_each_block": after_each_block})
    box.job = replace(box.job, definition=checked, access_definition=uds_access(checked))
    access.hashing = True
    plan = FlashPlan(request_for(definition, original, tuned_from(definition, original)))
    access.faults.append(Fault("program", call=1, alters=lambda data: b"\0" + data[1:]))
    write_now(box, plan)
    assert_done(box, ecu, plan)
    first = plan.order.blocks[0].start
    assert access.erased[0] == first
    assert (access.erased[1] == first) is after_each_block
    assert access.erased.count(first) == 2


def test_an_ecu_that_always_lies_is_never_a_success(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    access.faults.append(Fault("program", times=ENDLESS, alters=lambda data: data[:-1] + b"\0"))
    with pytest.raises(WriteInterruptedError, match="not what was written"):
        write_now(box, plan)
    assert access.calls["commit"] == 0
    assert box.state is JobState.INTERRUPTED
    access.faults.clear()
    recover_now(box, plan)
    assert_done(box, ecu, plan)


def test_a_stale_read_is_refused_before_anything_is_erased(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    ecu.damage(0x10_0000)
    with pytest.raises(VerifyFailedError) as caught:
        write_now(box, plan)
    assert standing(box.journal, JOB).ecu is EcuSafety.UNTOUCHED
    assert caught.value.details == ("code 0x00100000+0x1000",)
    assert access.erased == []
    assert box.journal.open_flashes() == []
    assert box.state is JobState.READ_VERIFIED


def test_a_neighbour_that_an_erase_damaged_is_found_and_mended(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    access.faults.append(Fault("erase", call=1, after=True, strike=lambda: ecu.damage(0x10_5FFF)))
    write_now(box, plan)
    assert_done(box, ecu, plan)
    assert 0x10_5000 in access.erased


def test_a_damaged_boot_block_is_no_success_and_is_not_written(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    access.faults.append(Fault("erase", call=1, after=True, strike=lambda: ecu.damage(0x0010)))
    with pytest.raises(WriteInterruptedError, match="boot 0x00000000"):
        write_now(box, plan)
    assert box.state is JobState.INTERRUPTED
    assert 0x0 not in access.erased


def test_dtcs_never_block(box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan) -> None:
    access.faults += [
        Fault("read_dtcs", call=1, error=EcuRefusedError(Refusal.CONDITIONS, "22")),
        Fault("read_dtcs", call=2, takes_s=3600.0),
        Fault("clear_dtcs", times=ENDLESS, error=EcuSilentError("nothing")),
    ]

    async def around() -> float:
        loop = asyncio.get_running_loop()
        assert await read_dtcs(box.job) is None
        assert await read_dtcs(box.job) is None
        assert not await clear_dtcs(box.job)
        return loop.time()

    assert run_virtual(around()) < 6.0
    notes = [event.text for event in box.events if isinstance(event, NoteEvent)]
    assert len(notes) == 3
    write_now(box, plan)
    assert_done(box, ecu, plan)


@pytest.mark.parametrize("where", ["open", "proof"])
def test_cancelling_before_the_first_erase_closes_the_journal(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    plan: FlashPlan,
    original: MemoryImage,
    where: str,
    verify: Verify,
) -> None:
    cancelled_while(box, access, plan, PROOF[verify] if where == "proof" else where)
    assert ecu.image().sha256() == original.sha256()
    assert box.journal.open_flashes() == []
    assert box.state is JobState.READ_VERIFIED
    assert access.closes == 1


@pytest.mark.parametrize("where", ["erase", "program", "commit"])
def test_cancelling_after_the_first_erase_leaves_it_interrupted(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, where: str
) -> None:
    cancelled_while(box, access, plan, where)
    assert len(box.journal.open_flashes()) == 1
    assert box.state is JobState.INTERRUPTED
    assert access.closes == 1
    access.faults.clear()
    recover_now(box, plan)
    assert_done(box, ecu, plan)


def cancelled_while(box: Box, access: ProbeAccess, plan: FlashPlan, where: str) -> None:
    """Cancel the write while the first call of an operation, which takes a thousand seconds, is under way."""
    access.faults.append(Fault(where, takes_s=1000.0))
    box.in_preflight()

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(500.0):
                await write_plan(box.job, plan)

    run_virtual(run())


def test_a_sagging_supply_pauses_between_blocks_and_goes_on(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, meter: SteadyMeter
) -> None:
    async def run() -> WriteResult:
        loop = asyncio.get_running_loop()

        def sag() -> None:
            meter.volts = 11.0
            loop.call_later(60.0, setattr, meter, "volts", 13.4)

        access.faults.append(Fault("program", call=1, after=True, strike=sag))
        result = await write_plan(box.job, plan)
        assert loop.time() > 60.0
        return result

    box.in_preflight()
    run_virtual(run())
    assert_done(box, ecu, plan)
    assert [event.raised for event in box.events if isinstance(event, AlarmEvent)] == [True, False]


def test_a_target_that_is_not_the_planned_one_is_never_sent(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    plan: FlashPlan,
    definition: Definition,
    original: MemoryImage,
) -> None:
    access.faults.append(Fault("program", times=ENDLESS, error=EcuRefusedError(Refusal.PROGRAMMING, "72")))
    with pytest.raises(WriteInterruptedError):
        write_now(box, plan)
    erased = list(access.erased)
    flash = box.journal.open_flashes()[0]
    with pytest.raises(PitboxError, match="TARGET_CHANGED"):
        run_virtual(recover(box.job, flash, plan.order, random_image(definition, seed=2)))
    assert access.erased == erased


def test_an_unfinished_write_can_be_turned_back_to_the_original(
    box: Box, reborn: Callable[[], Box], access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    access.faults.append(
        Fault("program", call=2, times=ENDLESS, error=EcuRefusedError(Refusal.PROGRAMMING, ""))
    )
    with pytest.raises(WriteInterruptedError):
        write_now(box, plan)
    access.faults.clear()
    box = reborn()
    original = plan.request.original
    assert original is not None
    order = FlashPlan(request_for(plan.request.definition, original, None)).order
    flash = mark_interrupted(box.journal)[0]
    result = run_virtual(recover(box.job, flash, order, original))
    assert result.outcome is box.state is JobState.RESTORED
    assert ecu.image().sha256() == original.sha256()
    assert Step.RETARGETED in steps(box)
