"""The plug sits in another car: before a recovery, or all at once in the middle of a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.schema import Definition
from appliance.flashing.errors import CarUnconfirmedError, EcuChangedError
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import Step
from appliance.flashing.plan import FlashPlan
from appliance.flashing.reading import read_twice
from appliance.flashing.recovering import recover
from appliance.flashing.safety import standing
from appliance.flashing.same_ecu import Acquaintance, compare
from appliance.flashing.writing import WriteResult
from appliance.protocols.access import EcuIdentity, EcuRefusedError, LinkLostError, Refusal
from simulator.virtualtime import run_virtual
from tests.support.box import JOB, Box, random_image, request_for, tuned_from, write_plan
from tests.support.probe_access import IDENTITY, Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

ENDLESS = 10_000
OTHER = replace(IDENTITY, serial="S2", vin="V2")
MUTE = EcuIdentity(hw=IDENTITY.hw, boot=IDENTITY.boot)


@pytest.fixture
def plan(definition: Definition, original: MemoryImage) -> FlashPlan:
    changed = tuned_from(definition, original, 1, 4097, 8193, 12289)
    return FlashPlan(request_for(definition, original, changed))


@pytest.fixture
def other(definition: Definition) -> ProbeEcu:
    """A healthy ECU of the same kind in another car, with other memory."""
    return ProbeEcu.holding(definition, random_image(definition, seed=2))


def interrupted(box: Box, access: ProbeAccess, plan: FlashPlan) -> None:
    """The job's own ECU, half written."""
    access.faults.append(Fault("program", 2, ENDLESS, EcuRefusedError(Refusal.PROGRAMMING, "72")))
    box.in_preflight()
    with pytest.raises(PitboxError):
        run_virtual(write_plan(box.job, plan))
    access.faults.clear()
    access.erased.clear()
    access.opened_for.clear()


def go_on(box: Box, plan: FlashPlan, confirmed: bool = False) -> WriteResult:
    flash = box.journal.last_flash(JOB)
    assert flash is not None
    job = replace(box.job, car=Acquaintance(confirmed))
    return run_virtual(recover(job, flash, plan.order, plan.target))


def plugged_into(access: ProbeAccess, ecu: ProbeEcu, identity: EcuIdentity) -> None:
    access.ecu, access.told = ecu, identity


def assert_refused_and_open(box: Box, access: ProbeAccess, other: ProbeEcu, before: str) -> None:
    assert access.erased == []
    assert other.image().sha256() == before
    assert other.running
    assert len(box.journal.open_flashes()) == 1
    assert box.state is JobState.INTERRUPTED
    assert standing(box.journal, JOB).ecu is EcuSafety.HALF_WRITTEN


@pytest.mark.parametrize("field", ["hw", "boot", "serial", "vin"])
def test_another_ecu_is_refused_before_it_is_even_opened(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, other: ProbeEcu, plan: FlashPlan, field: str
) -> None:
    interrupted(box, access, plan)
    untouched = other.image().sha256()
    plugged_into(access, other, replace(IDENTITY, **{field: "ANOTHER"}))
    order = [step.step for step in box.journal.steps(box.journal.open_flashes()[0].id)]
    with pytest.raises(EcuChangedError) as caught:
        go_on(box, plan, confirmed=True)
    assert caught.value.code == "ECU_CHANGED"
    assert field.upper() in caught.value.details[0]
    assert access.opened_for == []
    assert_refused_and_open(box, access, other, untouched)
    assert [step.step for step in box.journal.steps(box.journal.open_flashes()[0].id)] == order
    plugged_into(access, ecu, IDENTITY)
    assert go_on(box, plan).outcome is JobState.DONE
    assert ecu.image().sha256() == plan.target.sha256()


def test_an_ecu_that_tells_too_little_is_written_only_on_a_persons_word(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    interrupted(box, access, plan)
    access.told = MUTE
    with pytest.raises(CarUnconfirmedError) as caught:
        go_on(box, plan)
    assert "--car" in caught.value.do_now
    assert "VIN not told" in caught.value.details
    assert access.opened_for == []
    assert box.state is JobState.INTERRUPTED
    result = go_on(box, plan, confirmed=True)
    assert result.outcome is JobState.DONE
    assert result.identity_after["known_by"] == "person"
    assert result.identity_after["compared"] == ["hw", "boot"]


def test_a_persons_word_does_not_outweigh_memory_that_was_to_be_left_alone(
    box: Box, access: ProbeAccess, other: ProbeEcu, plan: FlashPlan
) -> None:
    interrupted(box, access, plan)
    untouched = other.image().sha256()
    plugged_into(access, other, MUTE)
    with pytest.raises(EcuChangedError) as caught:
        go_on(box, plan, confirmed=True)
    assert "does not hold what was read" in caught.value.details[0]
    assert_refused_and_open(box, access, other, untouched)


@pytest.mark.parametrize("identity", [OTHER, MUTE])
@pytest.mark.parametrize(("call", "block"), [(1, 0), (3, 2)])
def test_a_cable_that_moves_to_another_car_in_the_middle_of_a_block(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    other: ProbeEcu,
    plan: FlashPlan,
    identity: EcuIdentity,
    call: int,
    block: int,
) -> None:
    untouched = other.image().sha256()
    access.faults.append(
        Fault(
            "program",
            call,
            error=LinkLostError("the plug was pulled"),
            strike=lambda: plugged_into(access, other, identity),
        )
    )
    box.in_preflight()
    with pytest.raises(EcuChangedError):
        run_virtual(write_plan(box.job, plan))
    assert access.erased == [one.start for one in plan.order.blocks[: block + 1]]
    access.erased.clear()
    assert_refused_and_open(box, access, other, untouched)
    plugged_into(access, ecu, IDENTITY)
    assert go_on(box, plan).outcome is JobState.DONE
    assert ecu.image().sha256() == plan.target.sha256()


def test_a_lost_link_to_an_ecu_that_names_itself_in_its_application_only_is_no_end(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan
) -> None:
    """Its memory holds what this write made of it: that is witness enough."""

    def mute() -> None:
        access.told = MUTE

    access.faults.append(Fault("program", 2, error=LinkLostError("gone"), strike=mute))
    box.in_preflight()
    result = run_virtual(write_plan(box.job, plan))
    assert result.outcome is JobState.DONE
    assert ecu.image().sha256() == plan.target.sha256()


def test_a_cable_that_moves_while_the_ecu_resets_is_no_success(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, other: ProbeEcu, plan: FlashPlan
) -> None:
    access.faults.append(Fault("commit", after=True, strike=lambda: plugged_into(access, other, OTHER)))
    box.in_preflight()
    with pytest.raises(EcuChangedError):
        run_virtual(write_plan(box.job, plan))
    assert box.state is JobState.INTERRUPTED
    plugged_into(access, ecu, IDENTITY)
    result = go_on(box, plan)
    assert result.outcome is JobState.DONE
    assert result.identity_after["known_by"] == "serial"
    assert box.journal.job(JOB).detail["identity_after"] == result.identity_after


def test_no_image_is_read_from_two_cars(box: Box, access: ProbeAccess, other: ProbeEcu) -> None:
    box.identified()
    access.faults.append(
        Fault(
            "read",
            30,
            error=LinkLostError("the plug was pulled"),
            strike=lambda: plugged_into(access, other, OTHER),
        )
    )
    with pytest.raises(EcuChangedError):
        run_virtual(read_twice(box.job, box.job.definition.regions))


def test_an_answer_that_got_lost_is_asked_for_again(
    box: Box, access: ProbeAccess, plan: FlashPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(box, access, plan)
    answers = iter([MUTE, MUTE])

    async def identify(_access: ProbeAccess) -> EcuIdentity:
        return next(answers, IDENTITY)

    monkeypatch.setattr(ProbeAccess, "identify", identify)
    assert go_on(box, plan).outcome is JobState.DONE


def test_a_silent_ecu_does_not_change_what_the_open_write_is_to_do(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    plan: FlashPlan,
    definition: Definition,
    original: MemoryImage,
    reborn: Callable[[], Box],
) -> None:
    """Neither silence nor another car turns a tuned write into a restore that was only asked for."""
    interrupted(box, access, plan)
    back = FlashPlan(request_for(definition, original, None))
    ecu.powered = False
    with pytest.raises(PitboxError):
        go_on(box, back)
    (flash,) = reborn().journal.open_flashes()
    assert flash.write_order == plan.order.to_json()
    assert Step.RETARGETED not in [step.step for step in box.journal.steps(flash.id)]


@pytest.mark.parametrize(
    ("told", "known", "proven", "other"),
    [
        (EcuIdentity(hw="H", serial="S"), EcuIdentity(hw="H", serial="S", vin="V"), True, False),
        (EcuIdentity(hw="H"), EcuIdentity(hw="H", serial="S"), False, False),
        (EcuIdentity(), EcuIdentity(hw="H", serial="S"), False, False),
        (EcuIdentity(hw="H", vin="V"), EcuIdentity(hw="H"), False, False),
        (EcuIdentity(hw="G", vin="V"), EcuIdentity(hw="H", vin="V"), False, True),
        (EcuIdentity(serial="S", vin="W"), EcuIdentity(serial="S", vin="V"), False, True),
        (EcuIdentity(hw="B", bootloader_hw="B"), EcuIdentity(hw="H"), False, False),
        (EcuIdentity(hw="B", bootloader_hw="B"), EcuIdentity(hw="H", bootloader_hw="B"), False, False),
        (EcuIdentity(hw="B", bootloader_hw="B"), EcuIdentity(hw="B", bootloader_hw="C"), False, True),
        (EcuIdentity(hw="H", bootloader_hw="B"), EcuIdentity(hw="G", bootloader_hw="B"), False, True),
    ],
)
def test_what_two_identities_say_of_each_other(
    told: EcuIdentity, known: EcuIdentity, proven: bool, other: bool
) -> None:
    likeness = compare(told, known)
    assert (likeness.proven, likeness.other) == (proven, other)
