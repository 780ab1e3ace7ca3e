"""What must hold on the wire before a plan is made, each gate by itself, and where a refused job is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.events import GatesEvent
from appliance.contract.gates import gate_told
from appliance.contract.jobs import JobState
from appliance.definitions.schema import Definition
from appliance.flashing.errors import GatesRefusedError
from appliance.flashing.image import MemoryImage
from appliance.flashing.plan import FlashPlan
from appliance.flashing.preflight import preflight
from appliance.flashing.recovering import mark_interrupted
from appliance.flashing.writing import write
from appliance.protocols.access import LinkHealth
from simulator.virtualtime import run_virtual
from tests.support.box import JOB, AllClear, Box, checked, request_for, tuned_from
from tests.support.probe_access import IDENTITY, ProbeAccess


class Noisy(AllClear):
    """A bus on which nothing should be written."""

    async def listen(self) -> LinkHealth | None:
        return LinkHealth(load=0.7, errors=0, new_errors=0, bus_off=False)


def gates_of(box: Box) -> dict[str, str]:
    (event,) = [event for event in box.events if isinstance(event, GatesEvent)]
    noted = box.journal.job(JOB).detail["gates"]
    assert noted == [gate_told(gate) for gate in event.gates]
    return {gate.name: gate.verdict for gate in event.gates}


def refused(box: Box, definition: Definition, original: MemoryImage) -> set[str]:
    """Gates that did not pass."""
    request = request_for(definition, original, tuned_from(definition, original))
    with pytest.raises(GatesRefusedError):
        run_virtual(preflight(box.job, request, AllClear()))
    return {name for name, verdict in gates_of(box).items() if verdict != "pass"}


def test_a_request_in_order_becomes_a_plan(box: Box, definition: Definition, original: MemoryImage) -> None:
    box.read_verified()
    request = request_for(definition, original, tuned_from(definition, original))
    plan = run_virtual(preflight(box.job, request, AllClear())).plan
    assert set(gates_of(box).values()) == {"pass"}
    assert {"identity", "no_open_write", "bus_quiet", "disk", "voltage_window"} <= set(gates_of(box))
    assert box.state is JobState.PREFLIGHT
    assert plan.order.tuned_file == "tuned-file"
    (changed,) = box.journal.job(JOB).detail["changes"]
    assert (changed["region"], changed["changed_bytes"]) == ("calibration", 2)
    assert plan.target.sha256() == original.overlaid(tuned_from(definition, original)).sha256()


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("read", [False, True])
def test_a_refused_job_is_where_it_was(
    box: Box, definition: Definition, original: MemoryImage, cut: bool, read: bool
) -> None:
    """Also one that a power cut left in preflight."""
    before = (box.read_verified() if read else box.identified()).state
    if cut:
        box.journal.move(JOB, JobState.PREFLIGHT)
    with pytest.raises(GatesRefusedError):
        run_virtual(preflight(box.job, request_for(definition, original, None), Noisy()))
    assert box.state is before
    assert gates_of(box)["bus_quiet"] == "fail"


@pytest.mark.parametrize("field", ["hw", "sw", "boot", "vin"])
def test_an_ecu_that_tells_other_numbers_than_it_told_is_refused(
    box: Box, access: ProbeAccess, definition: Definition, original: MemoryImage, field: str
) -> None:
    box.read_verified()
    access.told = replace(IDENTITY, **{field: "ANOTHER"})
    assert "identity" in refused(box, definition, original)


def test_a_write_that_is_open_bars_the_next(box: Box, definition: Definition, original: MemoryImage) -> None:
    box.in_preflight()
    box.journal.open_flash(JOB, "{}")
    box.journal.move(JOB, JobState.INTERRUPTED)
    box.journal.create_job("other")
    box.journal.describe("other", definition.id, definition.digest(), "obd", IDENTITY)
    box.journal.move("other", JobState.IDENTIFIED)
    job = replace(box.job, id="other")
    with pytest.raises(GatesRefusedError):
        run_virtual(preflight(job, request_for(definition, original, None), AllClear()))
    noted: Any = box.journal.job("other").detail["gates"]
    assert {gate["name"]: gate["verdict"] for gate in noted}["no_open_write"] == "fail"


def test_a_plan_for_an_ecu_that_was_set_aside_meanwhile_is_not_begun(
    box: Box, definition: Definition, original: MemoryImage, access: ProbeAccess
) -> None:
    """The gate said so before; the heart asks again before the first intent."""
    box.in_preflight()
    plan = FlashPlan(request_for(definition, original, None))
    ready = run_virtual(checked(box.job, plan))
    box.journal.create_job("other")
    box.journal.describe("other", definition.id, definition.digest(), "obd", IDENTITY)
    for state in (JobState.IDENTIFIED, JobState.PREFLIGHT):
        box.journal.move("other", state)
    flash_id = box.journal.open_flash("other", plan.order.to_json())
    mark_interrupted(box.journal)
    box.journal.set_aside(flash_id, '{"by": "A. Smith", "reason": "waits"}')
    with pytest.raises(PitboxError, match="WRITE_SET_ASIDE"):
        run_virtual(write(box.job, ready))
    assert box.journal.open_flashes() == []
    assert access.calls["open"] == 0
