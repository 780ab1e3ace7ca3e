"""Every block holds its target and the ECU calls its memory incomplete; and erases that end unluckily."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events import NoteEvent
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH
from appliance.definitions.schema import Definition
from appliance.flashing.errors import WriteInterruptedError
from appliance.flashing.history import called_incomplete
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import JobRecord, Step, StepRecord
from appliance.flashing.plan import FlashPlan
from appliance.flashing.recovering import mark_interrupted, recover
from appliance.flashing.safety import standing
from appliance.flashing.writing import WriteResult
from appliance.protocols.access import EcuRefusedError, Refusal
from simulator.virtualtime import run_virtual
from tests.support.box import IDENTITY, JOB, ORIGINAL_FILE, Box, request_for, tuned_from, write_plan
from tests.support.probe_access import Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

ENDLESS = 10_000


@pytest.fixture
def back(definition: Definition, original: MemoryImage) -> FlashPlan:
    """The original, which is there already."""
    return FlashPlan(request_for(definition, original, None))


def rescued(box: Box, plan: FlashPlan) -> None:
    """The journal of the write was lost, and a new one is open."""
    definition = box.job.definition
    job = JobRecord(
        JOB, JobState.INTERRUPTED, definition.id, definition.digest(), "obd", IDENTITY, ORIGINAL_FILE, {}, 0.0
    )
    box.journal.open_rescue(job, plan.order.to_json())


def go_on(box: Box, plan: FlashPlan) -> WriteResult:
    (flash,) = mark_interrupted(box.journal)
    return run_virtual(recover(box.job, flash, plan.order, plan.target))


def stopped_before_the_end_of(ecu: ProbeEcu, *numbers: int) -> list[int]:
    """All bytes were programmed, and the ECU was never told that these blocks are complete."""
    writable = [block.start for block in ecu.blocks() if block.region != "boot"]
    ecu.incomplete = {(FLASH, writable[number]) for number in numbers}
    assert not ecu.reset()
    return writable


@pytest.mark.parametrize("numbers", [(0,), (4,), (9,), (2, 7)])
def test_the_block_that_the_ecu_was_never_told_the_end_of_is_written_again(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, back: FlashPlan, numbers: tuple[int, ...]
) -> None:
    writable = stopped_before_the_end_of(ecu, *numbers)
    rescued(box, back)
    result = go_on(box, back)
    assert result.outcome is JobState.RESTORED
    assert ecu.running
    assert ecu.image().sha256() == back.target.sha256()
    assert max(Counter(access.erased).values()) == 1
    if access.hashing:
        assert access.erased == writable[: max(numbers) + 1]
        assert any("calls" in one.text or "missing" in one.text for one in _notes(box))


def test_an_ecu_that_is_never_content_costs_a_bounded_number_of_erases(
    box: Box, reborn: Callable[[], Box], access: ProbeAccess, ecu: ProbeEcu, back: FlashPlan
) -> None:
    access.faults.append(Fault("commit", times=ENDLESS, error=EcuRefusedError(Refusal.PROGRAMMING, "no")))
    rescued(box, back)
    for _ in range(4):
        with pytest.raises(WriteInterruptedError, match="no"):
            go_on(reborn(), back)
        assert standing(box.journal, JOB).ecu is EcuSafety.HALF_WRITTEN
    assert max(Counter(access.erased).values()) <= (2 if access.hashing else 3)
    access.faults.clear()
    assert go_on(reborn(), back).outcome is JobState.RESTORED


def test_a_cut_while_a_block_is_written_again_is_recovered_from(
    box: Box, reborn: Callable[[], Box], access: ProbeAccess, ecu: ProbeEcu, back: FlashPlan
) -> None:
    stopped_before_the_end_of(ecu, 6)
    rescued(box, back)
    access.faults.append(Fault("program", 3, bytes_done=100, cuts_power=True, strike=_die))
    with pytest.raises(_Died):
        go_on(box, back)
    again = reborn()
    assert go_on(again, back).outcome is JobState.RESTORED
    assert ecu.running
    assert ecu.image().sha256() == back.target.sha256()


def test_a_fresh_write_that_is_not_accepted_wears_nothing_out(
    box: Box, access: ProbeAccess, definition: Definition, original: MemoryImage
) -> None:
    plan = FlashPlan(request_for(definition, original, tuned_from(definition, original)))
    access.faults.append(Fault("commit", times=ENDLESS, error=EcuRefusedError(Refusal.PROGRAMMING, "no")))
    box.in_preflight()
    with pytest.raises(WriteInterruptedError):
        run_virtual(write_plan(box.job, plan))
    assert max(Counter(access.erased).values()) == 1
    assert Step.INCOMPLETE not in _steps(box)


@pytest.mark.parametrize("refusal", sorted(Refusal))
@pytest.mark.parametrize("asked", [True, False])
def test_an_erase_that_ends_in_any_refusal_is_never_called_untouched(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    definition: Definition,
    original: MemoryImage,
    refusal: Refusal,
    asked: bool,
) -> None:
    """512 bytes are gone, whatever the ECU says; it can be asked for its memory afterwards, or cannot."""
    plan = FlashPlan(request_for(definition, original, tuned_from(definition, original)))
    proof = "proves_equal" if access.hashing else "read"

    def deaf() -> None:
        access.faults.append(Fault(proof, 1, ENDLESS, EcuRefusedError(refusal, "not now")))
        access.faults.append(Fault("program", 1, ENDLESS, EcuRefusedError(refusal, "not now")))

    access.faults.append(
        Fault(
            "erase",
            times=ENDLESS,
            bytes_done=512,
            strike=None if asked else deaf,
            error=EcuRefusedError(refusal, "unlucky"),
        )
    )
    box.in_preflight()
    with pytest.raises(WriteInterruptedError):
        run_virtual(write_plan(box.job, plan))
    assert ecu.image().sha256() != original.sha256()
    assert len(box.journal.open_flashes()) == 1
    assert box.state is JobState.INTERRUPTED
    assert standing(box.journal, JOB).ecu is EcuSafety.HALF_WRITTEN
    access.faults.clear()
    assert go_on(box, plan).outcome is JobState.DONE


@pytest.mark.parametrize("where", ["open", "proof", "state"])
def test_a_rescue_that_stumbles_before_it_erases_is_never_closed(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, back: FlashPlan, where: str
) -> None:
    stopped_before_the_end_of(ecu, 3)
    ecu.damage(0x10_0000)
    rescued(box, back)
    on = where if where != "proof" else "proves_equal" if access.hashing else "read"
    access.faults.append(Fault(on, times=ENDLESS, error=EcuRefusedError(Refusal.SECURITY, "35")))
    with pytest.raises(PitboxError):
        go_on(box, back)
    assert len(box.journal.open_flashes()) == 1
    assert box.state is JobState.INTERRUPTED
    assert standing(box.journal, JOB).ecu in (EcuSafety.UNKNOWN, EcuSafety.HALF_WRITTEN)
    access.faults.clear()
    assert go_on(box, back).outcome is JobState.RESTORED


def test_a_surprise_of_ours_in_the_middle_leaves_a_write_that_can_be_recovered(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, definition: Definition, original: MemoryImage
) -> None:
    """An algorithm that finds a seed of unexpected length, say."""
    plan = FlashPlan(request_for(definition, original, tuned_from(definition, original)))
    error = PitboxError("SEED_UNEXPECTED", "5 bytes", do_now="Correct the definition.")
    access.faults.append(Fault("program", error=error))
    box.in_preflight()
    with pytest.raises(PitboxError, match="SEED_UNEXPECTED"):
        run_virtual(write_plan(box.job, plan))
    assert box.state is JobState.INTERRUPTED
    assert go_on(box, plan).outcome is JobState.DONE


class _Died(BaseException):
    """The box is gone."""


def _die() -> None:
    raise _Died


def _notes(box: Box) -> list[NoteEvent]:
    return [event for event in box.events if isinstance(event, NoteEvent)]


def _steps(box: Box) -> list[Step]:
    flash = box.journal.last_flash(JOB)
    assert flash is not None
    return [step.step for step in box.journal.steps(flash.id)]


def test_a_rewriting_that_was_broken_off_has_not_been_tried() -> None:
    """Twice another ECU seemed to answer before the erase: the block that is wrong must not be given up."""
    block, other = (FLASH, 0x8000), (FLASH, 0x8400)
    told = [
        (Step.INCOMPLETE, block),
        (Step.INTERRUPTED, None),
        (Step.PROGRAMMED, other),
        (Step.INCOMPLETE, block),
        (Step.ERASE_INTENT, block),
        (Step.INTERRUPTED, None),
    ]
    steps = [StepRecord(step, place, 0.0, None) for step, place in told]
    assert called_incomplete(steps) == {}
    steps.append(StepRecord(Step.PROGRAMMED, block, 0.0, None))
    assert called_incomplete(steps) == {block: 1}
