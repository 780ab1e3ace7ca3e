"""20 MB in three memories at the same addresses: a whole job of the heart, with a power cut in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.loader import load_definition
from appliance.definitions.schema import Definition
from appliance.flashing.image import MemoryImage
from appliance.flashing.plan import FlashPlan
from appliance.flashing.reading import read_twice
from appliance.flashing.recovering import mark_interrupted, recover
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import LinkLostError
from appliance.vault.keys import KeyRing
from simulator.virtualtime import run_virtual
from tests.support.box import Box, request_for, write_plan
from tests.support.probe_access import Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

PACK = Path(__file__).parents[1] / "definitions" / "three_memories.toml"
_BLOCK_BYTES = 4096


def reaching_all() -> Definition:
    """By the access that reaches all three, which tests of a single way in take."""
    known = load_definition(PACK)
    bench = known.access_named("bench").model_copy(update={"method": "obd"})
    return known.model_copy(update={"accesses": (bench,)})


def mostly_erased(definition: Definition) -> MemoryImage:
    """A little content at both ends of each memory, other in each."""
    spans = {}
    for number, region in enumerate(definition.regions, 1):
        content = bytearray([region.erased_byte]) * region.size_bytes
        content[:_BLOCK_BYTES] = bytes([number]) * _BLOCK_BYTES
        content[-_BLOCK_BYTES:] = bytes([0x10 * number]) * _BLOCK_BYTES
        spans[region.place.at] = content
    return MemoryImage(spans)


@pytest.mark.timeout(300)
def test_twenty_megabytes_are_read_written_recovered_and_put_back(tmp_path: Path, keys: KeyRing) -> None:
    definition = reaching_all()
    original = mostly_erased(definition)
    assert original.size_bytes == 20 << 20
    ecu = ProbeEcu.holding(definition, original)
    access = ProbeAccess(ecu, hashing=True)
    box = Box(tmp_path / "state", keys, definition, access).identified()
    result = run_virtual(read_twice(box.job, definition.regions))
    assert result.image.sha256() == original.sha256()
    box.journal.read_verified(box.job.id, "original-file")
    box.journal.move(box.job.id, JobState.PREFLIGHT)

    tuned = {}
    for place, data in original.pieces:
        content = bytearray(data)
        content[-200] ^= 0x5A
        tuned[place.at] = content
    plan = FlashPlan(request_for(definition, result.image, MemoryImage(tuned)))
    lost = LinkLostError("the power is gone")
    access.faults.append(Fault("program", call=2, times=99, error=lost, bytes_done=2048, cuts_power=True))
    with pytest.raises(PitboxError, match="WRITE_INTERRUPTED"):
        run_virtual(write_plan(box.job, plan))
    box.close()
    access.faults.clear()

    again = Box(tmp_path / "state", keys, definition, access)
    (flash,) = mark_interrupted(again.journal)
    order = WriteOrder.from_json(flash.write_order)
    assert run_virtual(recover(again.job, flash, order, plan.target)).outcome is JobState.DONE
    assert ecu.image().sha256() == plan.target.sha256()
    assert {memory for memory, _ in access.erased_at} == {"flash", "external", "second"}

    again.journal.move(again.job.id, JobState.PREFLIGHT)
    back = FlashPlan(request_for(definition, result.image, None))
    assert run_virtual(write_plan(again.job, back)).outcome is JobState.RESTORED
    assert ecu.image().sha256() == original.sha256()
