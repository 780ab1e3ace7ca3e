"""Nothing is written but what car and box have let through: no other plan reaches the loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast, get_type_hints

import pytest

from appliance.contract.gates import GateVerdict, Verdict
from appliance.definitions.schema import Definition
from appliance.flashing import preflight, recovering, writing
from appliance.flashing.errors import GatesRefusedError
from appliance.flashing.executable import ExecutablePlan, WireWord, ask_car
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.conditions import Conditions
from appliance.flashing.gates.judging import CAR_GATES
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import JobRecord
from appliance.flashing.plan import FlashPlan
from simulator.virtualtime import run_virtual
from tests.support.box import AllClear, Box, checked, request_for, tuned_from
from tests.support.probe_access import ProbeAccess


class Hot(AllClear):
    """A box in the sun."""

    def temperature_c(self) -> float | None:
        return 90.0


def word_of(box: Box, plan: FlashPlan, conditions: Conditions) -> WireWord:
    request = cast(Any, plan.request)
    return run_virtual(ask_car(CarCheck(box.job, request, conditions), lambda verdict: None))


@pytest.fixture
def plan(definition: Definition, original: MemoryImage) -> FlashPlan:
    return FlashPlan(request_for(definition, original, tuned_from(definition, original)))


def test_the_word_is_of_every_gate_and_makes_the_plan_executable(box: Box, plan: FlashPlan) -> None:
    box.read_verified()
    word = word_of(box, plan, AllClear())
    assert [one.name for one in word.verdicts] == [gate.name for gate in CAR_GATES]
    assert ExecutablePlan(plan, word).plan is plan


def test_nobody_but_the_gates_makes_a_word(plan: FlashPlan) -> None:
    passed = tuple(GateVerdict(gate.name, Verdict.PASS) for gate in CAR_GATES)
    for key in (None, object(), plan, "", True):
        with pytest.raises(TypeError):
            WireWord(key, "job-1", None, passed)
    with pytest.raises(TypeError):
        ExecutablePlan(plan)  # type: ignore[call-arg]


def test_a_word_that_is_no_makes_no_plan_executable(box: Box, plan: FlashPlan) -> None:
    box.read_verified()
    with pytest.raises(GatesRefusedError) as refused:
        ExecutablePlan(plan, word_of(box, plan, Hot()))
    assert [one.name for one in refused.value.failed] == ["temperature"]


def test_a_word_is_for_the_write_that_it_was_asked_about(
    box: Box, plan: FlashPlan, definition: Definition, original: MemoryImage
) -> None:
    box.read_verified()
    word = word_of(box, plan, AllClear())
    others = (
        FlashPlan(request_for(definition, original, None)),
        FlashPlan(request_for(definition, original, tuned_from(definition, original, 1))),
        FlashPlan(replace(cast(Any, plan.request), engine_off_stated=True)),
    )
    for other in others:
        with pytest.raises(ValueError, match="another write"):
            ExecutablePlan(other, word)
        with pytest.raises(ValueError, match="another write"):
            replace(ExecutablePlan(plan, word), plan=other)


def test_a_plan_of_another_job_is_not_executed(box: Box, plan: FlashPlan, access: ProbeAccess) -> None:
    box.in_preflight()
    ready = run_virtual(checked(box.job, plan))
    with pytest.raises(ValueError, match="for the job"):
        run_virtual(writing.write(replace(box.job, id="other"), ready))
    assert access.calls["open"] == 0 and box.journal.open_flashes() == []


def test_the_loop_takes_that_type_alone() -> None:
    """And mypy, strict, holds who calls it to that."""
    assert get_type_hints(writing.write, localns={"JobRecord": JobRecord})["ready"] is ExecutablePlan
    assert get_type_hints(preflight.preflight)["return"] is ExecutablePlan
    assert get_type_hints(recovering._planned)["return"] is ExecutablePlan
