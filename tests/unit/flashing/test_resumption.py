"""A recovery runs from a plan like every write: what makes it, and what a half-written ECU is spared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.contract.events import GatesEvent
from appliance.contract.gates import Verdict
from appliance.contract.jobs import JobState
from appliance.definitions.schema import Definition
from appliance.flashing.errors import GatesRefusedError, TargetDamagedError
from appliance.flashing.gaps import Gap, Target
from appliance.flashing.gates.resuming import ask_the_wire
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import FlashRecord, Step
from appliance.flashing.plan import FlashPlan
from appliance.flashing.recovering import mark_interrupted, recover
from appliance.flashing.resumption import Resumption
from appliance.flashing.writing import WriteResult
from appliance.protocols.access import EcuRefusedError, EcuSilentError, LinkHealth, Refusal
from simulator.virtualtime import run_virtual
from tests.support import places
from tests.support.box import JOB, Box, SteadyMeter, request_for, tuned_from
from tests.support.probe_access import Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

HOLE = places.flash(0x20_3000, 4096)
"""The last of the four blocks that the tuned file changes."""


class Bus:
    """What the interface hears of it."""

    def __init__(self, **health: float) -> None:
        told = {"load": 0.1, "errors": 0, "new_errors": 0} | health
        self.health = LinkHealth(**told, bus_off=False)  # type: ignore[arg-type]
        self.listened = 0

    async def listen(self) -> LinkHealth:
        self.listened += 1
        return self.health


@pytest.fixture
def plan(definition: Definition, original: MemoryImage) -> FlashPlan:
    return FlashPlan(
        request_for(definition, original, tuned_from(definition, original, 1, 4097, 8193, 12289))
    )


def opened(box: Box, plan: FlashPlan, *, erased: bool) -> FlashRecord:
    """A write that the box stopped in, before its first erase or behind it."""
    box.in_preflight()
    flash_id = box.journal.open_flash(JOB, plan.order.to_json())
    if erased:
        box.journal.step(flash_id, Step.ERASE_INTENT, plan.order.blocks[0].place.at)
    return mark_interrupted(box.journal)[0]


def go_on(box: Box, plan: FlashPlan, flash: FlashRecord) -> WriteResult:
    return run_virtual(recover(box.job, flash, plan.order, plan.target))


def verdicts(box: Box) -> dict[str, str]:
    (event,) = [event for event in box.events if isinstance(event, GatesEvent)]
    return {gate.name: gate.verdict.value for gate in event.gates}


def resumed(box: Box, plan: FlashPlan, flash: FlashRecord, *, touched: bool) -> Resumption:
    """With every gate of the wire asked."""
    asked = run_virtual(ask_the_wire(box.job, touched=touched))
    return Resumption(
        flash, plan.order, box.job.definition, box.job.access_definition, plan.known, touched, asked
    )


def unmet(resumption: Resumption) -> set[str]:
    with pytest.raises(GatesRefusedError) as caught:
        FlashPlan(resumption)
    return {gate.name for gate in caught.value.failed}


@pytest.mark.parametrize("erased", [False, True])
def test_a_recovery_shows_its_gates(box: Box, plan: FlashPlan, *, erased: bool) -> None:
    assert go_on(box, plan, opened(box, plan, erased=erased)).outcome is JobState.DONE
    begun = "not_applicable" if erased else "pass"
    assert verdicts(box) == {
        "identity": "pass",
        "voltage_window": begun,
        "bus_quiet": "not_applicable",
        "link_clean": "not_applicable",
        "regions": "pass",
        "target_whole": "pass",
    }


def test_no_plan_is_made_of_a_write_whose_ecu_nobody_asked(box: Box, plan: FlashPlan) -> None:
    flash = opened(box, plan, erased=True)
    asked = resumed(box, plan, flash, touched=True)
    assert FlashPlan(asked).order == plan.order
    assert unmet(replace(asked, on_the_wire=())) == {
        "identity",
        "voltage_window",
        "bus_quiet",
        "link_clean",
    }
    known = tuple(one for one in asked.on_the_wire if one.name != "identity")
    assert unmet(replace(asked, on_the_wire=known)) == {"identity"}


@pytest.mark.parametrize("how", ["not writable", "of no region", "behind its region"])
def test_no_block_is_erased_that_the_definition_keeps(box: Box, plan: FlashPlan, how: str) -> None:
    flash = opened(box, plan, erased=True)
    first = plan.order.blocks[0]
    strange = {
        "not writable": plan.order.guarded[0],
        "of no region": replace(first, region="unheard-of"),
        "behind its region": replace(first, place=places.flash(0x20_4000, 4096)),
    }[how]
    asked = resumed(box, plan, flash, touched=True)
    assert unmet(replace(asked, order=replace(plan.order, blocks=(strange,)), known=plan.known)) >= {
        "regions"
    }


@pytest.mark.parametrize("gate", ["voltage_window", "bus_quiet", "link_clean"])
def test_supply_and_bus_stand_before_the_first_erase_and_not_behind_it(
    box: Box,
    access: ProbeAccess,
    ecu: ProbeEcu,
    meter: SteadyMeter,
    plan: FlashPlan,
    gate: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = Bus(**{"bus_quiet": {"load": 0.7}, "link_clean": {"new_errors": 3}}.get(gate, {}))
    monkeypatch.setattr(access, "link", bus, raising=False)
    volts, meter.volts = meter.volts, 10.0 if gate == "voltage_window" else meter.volts
    flash = opened(box, plan, erased=False)
    with pytest.raises(GatesRefusedError) as caught:
        go_on(box, plan, flash)
    assert [one.name for one in caught.value.failed] == [gate]
    assert (access.erased, box.state) == ([], JobState.INTERRUPTED)
    meter.volts = volts
    box.journal.step(flash.id, Step.ERASE_INTENT, plan.order.blocks[0].place.at)
    heard = bus.listened
    assert go_on(box, plan, flash).outcome is JobState.DONE
    assert bus.listened == heard
    assert ecu.image().sha256() == plan.target.sha256()


def rotten(box: Box, plan: FlashPlan, flash: FlashRecord, before: MemoryImage | None) -> TargetDamagedError:
    with pytest.raises(TargetDamagedError) as caught:
        run_virtual(
            recover(
                box.job, flash, plan.order, plan.target.without([HOLE]), (Gap(HOLE, None),), "else", before
            )
        )
    return caught.value


def test_what_cannot_be_finished_is_not_begun_and_closed_where_memory_is_as_before(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, original: MemoryImage
) -> None:
    told = rotten(box, plan, opened(box, plan, erased=False), original)
    assert access.erased == []
    assert ecu.image().sha256() == original.sha256()
    assert "closed" in told.do_now
    assert "0x00203000" in told.details[0]
    assert (box.journal.open_flashes(), box.state) == ([], JobState.READ_VERIFIED)


@pytest.mark.parametrize("why", ["nobody knows what it held", "it holds something else", "it does not tell"])
def test_what_cannot_be_finished_stays_open_where_memory_is_not_proven(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, plan: FlashPlan, original: MemoryImage, why: str
) -> None:
    flash = opened(box, plan, erased=False)
    before = None if why == "nobody knows what it held" else original
    if why == "it holds something else":
        before = plan.target
    if why == "it does not tell":
        access.faults.append(Fault("read", times=10_000, error=EcuSilentError("no answer")))
        access.faults.append(
            Fault("proves_equal", times=10_000, error=EcuRefusedError(Refusal.CONDITIONS, "22"))
        )
    told = rotten(box, plan, flash, before)
    assert access.erased == []
    assert ecu.image().sha256() == original.sha256()
    assert "or else." in told.do_now
    assert len(box.journal.open_flashes()) == 1
    assert box.state is JobState.INTERRUPTED


def test_a_plan_of_an_untouched_write_needs_its_whole_target(box: Box, plan: FlashPlan) -> None:
    flash = opened(box, plan, erased=False)
    lost = Target(plan.target.without([HOLE]), (Gap(HOLE, None),))
    asked = replace(resumed(box, plan, flash, touched=False), known=lost)
    assert unmet(asked) == {"target_whole"}
    begun = FlashPlan(replace(asked, touched=True))
    assert {gate.name: gate.verdict for gate in begun.gates}["target_whole"] is Verdict.NOT_APPLICABLE
