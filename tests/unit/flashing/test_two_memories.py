"""An ECU whose two memories have the same addresses: each keeps its own bytes, blocks and steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.contract.jobs import JobState
from appliance.contract.places import Range
from appliance.definitions.schema import Definition
from appliance.flashing import history
from appliance.flashing.errors import GatesRefusedError, VerifyFailedError, WriteInterruptedError
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import Step
from appliance.flashing.plan import FlashPlan
from appliance.flashing.reading import ReadResult, read_twice
from appliance.flashing.recovering import mark_interrupted, recover
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import LinkLostError
from appliance.vault.contents import content_sha256
from appliance.vault.keys import KeyRing
from simulator.virtualtime import run_virtual
from tests.support.box import Box, Verify, random_image, request_for, with_eeprom, write_plan
from tests.support.probe_access import Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu


@pytest.fixture
def definition(verify: Verify) -> Definition:
    return with_eeprom(verify)


@pytest.fixture
def original(definition: Definition) -> MemoryImage:
    return random_image(definition)


@pytest.fixture
def tuned(definition: Definition, original: MemoryImage) -> MemoryImage:
    """A few bytes of the EEPROM are others, in its first and its last block."""
    maps = definition.region("maps")
    content = bytearray(original.slice(maps.place))
    for at in (5, maps.size_bytes - 9):
        content[at] ^= 0xFF
    return MemoryImage({maps.place.at: content})


def read_now(box: Box, definition: Definition) -> ReadResult:
    return run_virtual(read_twice(box.job, definition.regions))


def test_one_address_is_two_places(definition: Definition) -> None:
    calibration, maps = definition.region("calibration"), definition.region("maps")
    assert (calibration.memory, maps.memory) == ("flash", "eeprom")
    assert (calibration.start, calibration.size_bytes) == (maps.start, maps.size_bytes)


def test_both_are_read_and_sealed_as_their_own(
    box: Box, definition: Definition, original: MemoryImage
) -> None:
    result = read_now(box.identified(), definition)
    assert result.image.spans == original.spans
    sealed = {one.place.at: box.blobs.get(one) for one in result.segments}
    assert sealed == {at: bytes(data) for at, data in original.spans.items()}
    assert content_sha256(sealed) == original.sha256()


@pytest.mark.parametrize("call", [1, 2])
def test_a_write_of_the_one_is_interrupted_finished_and_taken_back_and_the_other_never_erased(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    definition: Definition,
    original: MemoryImage,
    tuned: MemoryImage,
    reborn: Callable[[], Box],
    call: int,
    verify: Verify,
) -> None:
    """The power goes in the first block, and in the last."""
    plan = FlashPlan(request_for(definition, original, tuned))
    assert {block.memory for block in plan.order.blocks} == {"eeprom"}
    assert "calibration" in {block.region for block in plan.order.guarded}
    lost = LinkLostError("the power is gone")
    access.faults.append(Fault("program", call=call, times=99, error=lost, bytes_done=1024, cuts_power=True))
    with pytest.raises(WriteInterruptedError):
        run_virtual(write_plan(box.in_preflight().job, plan))
    box.close()
    access.faults.clear()

    again = reborn()
    (flash,) = mark_interrupted(again.journal)
    order = WriteOrder.from_json(flash.write_order)
    assert order == plan.order
    steps = again.journal.steps(flash.id)
    assert {at for at in history.begun(steps) if at} <= {block.place.at for block in order.blocks}
    assert run_virtual(recover(again.job, flash, order, plan.target)).outcome == "done"
    assert ecu.image().sha256() == plan.target.sha256()

    back = FlashPlan(request_for(definition, original, None))
    again.journal.move(again.job.id, JobState.PREFLIGHT)
    assert run_virtual(write_plan(again.job, back)).outcome == "restored"
    assert ecu.image().sha256() == original.sha256()
    if verify == "hash":  # which leaves alone what holds its target
        assert {memory for memory, _ in access.erased_at} == {"eeprom"}
        assert {at for at in access.erased_at} == {
            place.at for place in (tuned.pieces[0][0].part(0, 1), Range("eeprom", 0x20_3000, 1))
        }


def test_an_original_of_one_memory_goes_back_there_and_is_none_of_the_other(
    definition: Definition, original: MemoryImage
) -> None:
    flash = MemoryImage({place.at: data for place, data in original.pieces if place.memory == "flash"})
    plan = FlashPlan(request_for(definition, flash, None))
    assert {block.memory for block in (*plan.order.blocks, *plan.order.guarded)} == {"flash"}
    calibration = definition.region("calibration").place
    with pytest.raises(GatesRefusedError) as caught:
        FlashPlan(request_for(definition, flash, MemoryImage({calibration.at: flash.slice(calibration)})))
    assert "original_stored" in {gate.name for gate in caught.value.failed}


def test_damage_in_the_one_is_not_looked_for_in_the_other(
    tmp_path: Path, keys: KeyRing, definition: Definition, original: MemoryImage, tuned: MemoryImage
) -> None:
    """The same address of the flash is another than was read: nothing may be erased."""
    ecu = ProbeEcu.holding(definition, original)
    ecu.damage(0x20_0000, memory="flash")
    access = ProbeAccess(ecu, hashing=True)
    box = Box(tmp_path / "other", keys, definition, access)
    plan = FlashPlan(request_for(definition, original, tuned))
    with pytest.raises(VerifyFailedError) as caught:
        run_virtual(write_plan(box.in_preflight().job, plan))
    assert caught.value.details == ("calibration 0x00200000+0x1000",)
    assert access.erased_at == []
    assert Step.ERASE_INTENT not in [step.step for step in box.journal.steps(1)]
