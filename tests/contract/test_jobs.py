"""The moves between job states, walked at random: danger is entered and left by known doors only."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.jobs import COMMERCIAL, ECU_IN_DANGER, JobState, may_move

ENDS = {JobState.DONE, JobState.RESTORED}


@st.composite
def _walks(draw: st.DrawFn) -> list[JobState]:
    walk = [JobState.DRAFT]
    for _ in range(draw(st.integers(0, 40))):
        onward = [state for state in JobState if may_move(walk[-1], state)]
        if not onward:
            break
        walk.append(draw(st.sampled_from(onward)))
    return walk


@given(_walks())
def test_nothing_is_flashed_before_it_was_identified_and_passed_its_gates(walk: list[JobState]) -> None:
    for before, state in pairwise(walk):
        if state is JobState.FLASHING and before is not JobState.VERIFYING:
            assert before is JobState.PREFLIGHT
    if JobState.FLASHING in walk:
        assert JobState.IDENTIFIED in walk[: walk.index(JobState.FLASHING)]


@given(_walks())
def test_a_job_in_danger_is_never_cancelled(walk: list[JobState]) -> None:
    if walk[-1] is JobState.CANCELLED:
        assert walk[-2] not in ECU_IN_DANGER


@given(_walks())
def test_success_after_danger_comes_from_verifying_or_recovering_alone(walk: list[JobState]) -> None:
    for before, state in pairwise(walk):
        if before in ECU_IN_DANGER and state in ENDS:
            assert before in {JobState.VERIFYING, JobState.RECOVERING}


@given(_walks())
def test_a_write_that_was_interrupted_goes_on_by_recovering_only(walk: list[JobState]) -> None:
    for before, state in pairwise(walk):
        if before is JobState.INTERRUPTED:
            assert state is JobState.RECOVERING
        if before is JobState.NEEDS_BENCH:
            assert state in {JobState.RECOVERING, JobState.READ_VERIFIED}, "recovered, or settled by a person"


def test_every_state_can_be_reached_and_danger_always_has_a_way_out() -> None:
    reached, frontier = {JobState.DRAFT}, [JobState.DRAFT]
    while frontier:
        onward = {state for state in JobState if may_move(frontier[-1], state)} - reached
        frontier.pop()
        reached |= onward
        frontier += onward
    assert reached == set(JobState)
    assert all(any(may_move(state, onward) for onward in JobState) for state in ECU_IN_DANGER)
    assert not COMMERCIAL & ECU_IN_DANGER
