from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events import NoteEvent
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH, Start
from appliance.definitions.access.uds import uds_access
from appliance.definitions.schema import Definition
from appliance.flashing.database import StorageError
from appliance.flashing.errors import NeedsBenchError, VerifyFailedError, WriteInterruptedError
from appliance.flashing.gaps import Gap
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import Journal, Step
from appliance.flashing.plan import FlashPlan
from appliance.flashing.recovering import mark_interrupted, recover
from appliance.flashing.safety import standing
from appliance.flashing.writing import WriteResult
from appliance.protocols.access import EcuRefusedError, LinkLostError, NotBegunError, Refusal
from simulator.virtualtime import run_virtual
from tests.support import places
from tests.support.box import JOB, Box, Verify, request_for, small_definition, tuned_from, write_plan
from tests.support.probe_access import Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

ENDLESS = 10_000
BLOCKS = [0x20_0000, 0x20_1000, 0x20_2000, 0x20_3000]
"""Starts of the calibration's sectors, all of which the tuned file changes."""


@pytest.fixture(params=["bootloader", "bench"])
def definition(request: pytest.FixtureRequest, verify: Verify) -> Definition:
    return small_definition(verify, request.param)


@pytest.fixture
def plan(definition: Definition, original: MemoryImage) -> FlashPlan:
    return FlashPlan(
        request_for(definition, original, tuned_from(definition, original, 1, 4097, 8193, 12289))
    )


def started(box: Box, plan: FlashPlan, *steps: Step, blocks: int = 0) -> Box:
    """A write that died after these steps, or with so many blocks begun."""
    box.in_preflight()
    flash_id = box.journal.open_flash(JOB, plan.order.to_json())
    for step in steps:
        box.journal.step(flash_id, step)
    for start in BLOCKS[:blocks]:
        box.journal.step(flash_id, Step.ERASE_INTENT, (FLASH, start))
    return box


def go_on(box: Box, plan: FlashPlan) -> WriteResult:
    flash = box.journal.last_flash(JOB)
    assert flash is not None
    return run_virtual(recover(box.job, flash, plan.order, plan.target))


def steps(box: Box) -> list[tuple[Step, Start | None]]:
    flash = box.journal.last_flash(JOB)
    assert flash is not None
    return [(step.step, step.block) for step in box.journal.steps(flash.id)]


def assert_done(box: Box, ecu: ProbeEcu, plan: FlashPlan) -> None:
    assert ecu.image().sha256() == plan.target.sha256()
    assert ecu.running
    assert box.journal.open_flashes() == []
    assert box.state is JobState.DONE


def interrupted_in(box: Box, access: ProbeAccess, plan: FlashPlan, program_call: int) -> None:
    """A write whose block number `program_call` cannot be programmed."""
    fault = Fault("program", program_call, ENDLESS, EcuRefusedError(Refusal.PROGRAMMING, "72"))
    access.faults.append(fault)
    box.in_preflight()
    with pytest.raises(WriteInterruptedError):
        run_virtual(write_plan(box.job, plan))
    access.faults.clear()
    access.erased.clear()


def test_blocks_that_are_programmed_are_not_written_again(
    box: Box, reborn: Callable[[], Box], access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    interrupted_in(box, access, plan, program_call=3)
    again = reborn()
    result = go_on(again, plan)
    assert_done(again, ecu, plan)
    assert access.erased == BLOCKS[2:]
    assert (result.total, result.written, result.skipped) == (4, 2, 2)


def test_an_ecu_that_never_takes_its_block_is_for_the_bench_where_no_reset_helps(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, definition: Definition
) -> None:
    """The first time somebody may still change what it refuses for; the journal knows the second time."""
    interrupted_in(box, access, plan, program_call=3)
    refusal = NotBegunError(Refusal.CONDITIONS, "7F 34 22")
    access.faults.append(Fault("program", access.calls["program"] + 1, ENDLESS, refusal))
    with pytest.raises(WriteInterruptedError):
        go_on(box, plan)
    bench = uds_access(definition).recovery.recoverability == "bench"
    with pytest.raises(NeedsBenchError if bench else WriteInterruptedError, match="7F 34 22") as told:
        go_on(box, plan)
    assert uds_access(definition).recovery.advice in told.value.do_now
    assert box.state is (JobState.NEEDS_BENCH if bench else JobState.INTERRUPTED)
    assert standing(box.journal, JOB).ecu is EcuSafety.HALF_WRITTEN
    access.faults.clear()
    go_on(box, plan)
    assert_done(box, ecu, plan)


@pytest.mark.parametrize("answers", [True, False], ids=["refuses", "silent"])
def test_the_bench_that_brings_it_back_is_named_with_its_command(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, definition: Definition, answers: bool
) -> None:
    here = uds_access(definition)
    if here.recovery.recoverability == "bootloader":
        pytest.skip("it comes back on this connection")
    kept = here.recovery.model_copy(update={"recoverability": "bootloader"})
    bench = here.model_copy(update={"name": "strap", "recovery": kept})
    away = definition.model_copy(update={"accesses": (here, bench)})
    interrupted_in(box, access, plan, program_call=3)
    box.job = replace(box.job, definition=away)
    if answers:
        refusal = NotBegunError(Refusal.CONDITIONS, "7F 34 22")
        access.faults.append(Fault("program", access.calls["program"] + 1, ENDLESS, refusal))
        with pytest.raises(WriteInterruptedError):
            go_on(box, plan)
    else:
        ecu.powered = False
    with pytest.raises(NeedsBenchError) as told:
        go_on(box, plan)
    assert f"`pitbox recover --job {JOB} --access strap`" in told.value.do_now
    assert f"--access {here.name}`" not in told.value.do_now


def test_a_block_that_was_begun_again_is_not_taken_for_programmed(
    box: Box, reborn: Callable[[], Box], access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    """The ECU lied about the first block; the box stopped while it was writing that one again."""
    access.faults.append(Fault("program", 1, alters=lambda data: bytes(len(data))))
    access.faults.append(Fault("program", 5, ENDLESS, EcuRefusedError(Refusal.PROGRAMMING, "72")))
    box.in_preflight()
    with pytest.raises(WriteInterruptedError):
        run_virtual(write_plan(box.job, plan))
    access.faults.clear()
    again = reborn()
    go_on(again, plan)
    assert_done(again, ecu, plan)
    assert not any("do not hold" in event.text for event in again.events if isinstance(event, NoteEvent))


def test_blocks_of_another_target_do_not_count_as_programmed(
    box: Box,
    reborn: Callable[[], Box],
    access: ProbeAccess,
    ecu: ProbeEcu,
    plan: FlashPlan,
    definition: Definition,
    original: MemoryImage,
) -> None:
    interrupted_in(box, access, plan, program_call=4)
    again = reborn()
    back = FlashPlan(request_for(definition, original, None))
    assert go_on(again, back).outcome is JobState.RESTORED
    assert ecu.image().sha256() == original.sha256()
    assert not any("do not hold" in event.text for event in again.events if isinstance(event, NoteEvent))


def test_a_write_that_never_began_is_finished_too(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    started(box, plan, Step.SESSION_OPEN)
    go_on(box, plan)
    assert_done(box, ecu, plan)


@pytest.mark.parametrize("state", [JobState.FLASHING, JobState.VERIFYING, JobState.RECOVERING])
def test_every_open_write_is_marked_once(box: Box, plan: FlashPlan, state: JobState) -> None:
    started(box, plan)
    if state is JobState.VERIFYING:
        box.journal.move(JOB, state)
    if state is JobState.RECOVERING:
        box.journal.resume_flash(mark_interrupted(box.journal)[0], plan.order.to_json())
    assert [flash.job_id for flash in mark_interrupted(box.journal)] == [JOB]
    marked = steps(box)
    assert box.state is JobState.INTERRUPTED
    mark_interrupted(box.journal)
    assert steps(box) == marked


def test_a_disk_that_fills_up_stops_the_write_before_the_next_erase(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The box goes on in the same life, once there is room."""
    plain = Journal.next_block

    def full(journal: Journal, flash_id: int, finished: Start | None, start: Start) -> None:
        if start == (FLASH, BLOCKS[1]):
            raise StorageError(journal.path, "database or disk is full")
        plain(journal, flash_id, finished, start)

    monkeypatch.setattr(Journal, "next_block", full)
    box.in_preflight()
    with pytest.raises(StorageError):
        run_virtual(write_plan(box.job, plan))
    assert standing(box.journal, JOB).ecu is EcuSafety.HALF_WRITTEN
    assert access.erased == BLOCKS[:1]
    assert len(box.journal.open_flashes()) == 1
    monkeypatch.undo()
    go_on(box, plan)
    assert_done(box, ecu, plan)


def test_a_disk_that_is_full_before_the_first_erase_leaves_the_ecu_untouched(
    box: Box, access: ProbeAccess, plan: FlashPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(journal: Journal, *_: object) -> None:
        raise StorageError(journal.path, "database or disk is full")

    monkeypatch.setattr(Journal, "next_block", full)
    box.in_preflight()
    with pytest.raises(StorageError):
        run_virtual(write_plan(box.job, plan))
    assert standing(box.journal, JOB).ecu is EcuSafety.UNTOUCHED
    assert access.erased == []


def test_silence_after_an_erase_means_what_the_definition_says(
    box: Box, ecu: ProbeEcu, access: ProbeAccess, plan: FlashPlan, definition: Definition
) -> None:
    started(box, plan, blocks=1)
    ecu.powered = False
    bench = uds_access(definition).recovery.recoverability == "bench"
    with pytest.raises(NeedsBenchError if bench else WriteInterruptedError) as caught:
        go_on(box, plan)
    assert uds_access(definition).recovery.advice in caught.value.do_now
    assert standing(box.journal, JOB).ecu is EcuSafety.HALF_WRITTEN
    assert box.state is (JobState.NEEDS_BENCH if bench else JobState.INTERRUPTED)
    assert access.calls["state"] > 1
    ecu.powered = True
    go_on(box, plan)
    assert_done(box, ecu, plan)


def test_a_lost_link_is_no_reason_for_the_bench(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    started(box, plan, blocks=1)
    access.faults.append(Fault("state", times=ENDLESS, error=LinkLostError("the interface is gone")))
    with pytest.raises(WriteInterruptedError, match="interface is gone"):
        go_on(box, plan)
    assert box.state is JobState.INTERRUPTED
    access.faults.clear()
    go_on(box, plan)
    assert_done(box, ecu, plan)


def test_a_half_written_ecu_that_will_not_open_is_never_switched_off(
    box: Box, access: ProbeAccess, plan: FlashPlan
) -> None:
    """Its sealed bytes are damaged besides, so that it is asked for them before the write goes on."""
    started(box, plan, blocks=1)
    access.faults.append(Fault("open", times=ENDLESS, error=EcuRefusedError(Refusal.CONDITIONS, "22")))
    flash = box.journal.last_flash(JOB)
    assert flash is not None
    hole = places.flash(BLOCKS[3], 4096)
    with pytest.raises(WriteInterruptedError) as caught:
        run_virtual(recover(box.job, flash, plan.order, plan.target.without([hole]), (Gap(hole, None),)))
    assert "15 s" not in caught.value.do_now
    assert box.state is JobState.INTERRUPTED


def test_an_untouched_ecu_that_is_switched_off_needs_no_bench(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    started(box, plan)
    ecu.powered = False
    with pytest.raises(PitboxError, match="ECU_SILENT"):
        go_on(box, plan)
    assert standing(box.journal, JOB).ecu is EcuSafety.UNTOUCHED
    assert box.state is JobState.INTERRUPTED
    ecu.powered = True
    go_on(box, plan)
    assert_done(box, ecu, plan)


def test_an_ecu_that_answers_late_is_waited_for(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    started(box, plan, blocks=2)
    access.faults.append(Fault("state", times=5, error=LinkLostError("still booting")))
    go_on(box, plan)
    assert_done(box, ecu, plan)


def test_a_refusal_before_the_first_erase_can_be_mended_and_recovered_again(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    started(box, plan)
    access.faults.append(Fault("open", error=EcuRefusedError(Refusal.SECURITY, "35")))
    with pytest.raises(PitboxError, match="ECU_REFUSED_SECURITY"):
        go_on(box, plan)
    assert standing(box.journal, JOB).ecu is EcuSafety.UNTOUCHED
    assert box.state is JobState.INTERRUPTED
    go_on(box, plan)
    assert_done(box, ecu, plan)


def test_a_write_that_never_began_on_a_stale_read_is_closed(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    started(box, plan)
    ecu.damage(0x10_0000)
    with pytest.raises(VerifyFailedError):
        go_on(box, plan)
    assert standing(box.journal, JOB).ecu is EcuSafety.UNTOUCHED
    assert access.erased == []
    assert box.journal.open_flashes() == []
    assert box.state is JobState.READ_VERIFIED


@pytest.mark.parametrize(("where", "left_open"), [("state", True), ("open", False), ("erase", True)])
def test_a_recovery_that_is_cancelled(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, where: str, left_open: bool
) -> None:
    started(box, plan)
    access.faults.append(Fault(where, takes_s=1000.0))

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(500.0):
                await recover(box.job, box.journal.open_flashes()[0], plan.order, plan.target)

    run_virtual(cancelled())
    assert box.state is (JobState.INTERRUPTED if left_open else JobState.READ_VERIFIED)
    assert len(box.journal.open_flashes()) == left_open


def test_a_write_that_is_done_is_not_recovered(box: Box, plan: FlashPlan) -> None:
    box.in_preflight()
    run_virtual(write_plan(box.job, plan))
    flash = box.journal.last_flash(JOB)
    assert flash is not None
    with pytest.raises(PitboxError, match="JOB_STATE"):
        run_virtual(recover(box.job, flash, replace(plan.order), plan.target))
    assert box.journal.open_flashes() == []
    assert box.state is JobState.DONE
