"""The gates that need the car and the box as they are now, and the sum of all gates."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from appliance.contract.events import GatesEvent, RegionChange
from appliance.contract.gates import GateVerdict, gate_told
from appliance.contract.jobs import JobState
from appliance.flashing.changes import changes_of
from appliance.flashing.context import JobContext
from appliance.flashing.errors import GatesRefusedError
from appliance.flashing.executable import ExecutablePlan, WireWord, ask_car
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.conditions import Conditions
from appliance.flashing.gates.judging import check_request, pending
from appliance.flashing.gates.request import WriteRequest
from appliance.flashing.plan import FlashPlan


async def preflight(job: JobContext, request: WriteRequest, conditions: Conditions) -> ExecutablePlan:
    """Check every gate and show them all. Raises GatesRefusedError unless all pass."""
    before = _enter(job)
    try:
        gates, word = await _all_gates(job, request, conditions)
        _keep(job, request, gates)
        if not all(gate.passed for gate in gates):
            raise GatesRefusedError(gates)
        return ExecutablePlan(FlashPlan(request), word)
    except BaseException:
        job.journal.move(job.id, before)
        raise


def _changes(request: WriteRequest) -> tuple[RegionChange, ...]:
    """What the file changes, by region; of an original that goes back only the ECU knows."""
    if request.original is None or request.tuned is None:
        return ()
    return changes_of(request.definition, request.original, request.tuned)


def _enter(job: JobContext) -> JobState:
    """Move to preflight; gives the state to go back to, also where a power cut left the job in preflight."""
    known = job.journal.job(job.id)
    if known.state is JobState.PREFLIGHT:
        return JobState.READ_VERIFIED if known.original_file else JobState.IDENTIFIED
    job.journal.move(job.id, JobState.PREFLIGHT)
    return known.state


async def _all_gates(
    job: JobContext, request: WriteRequest, conditions: Conditions
) -> tuple[list[GateVerdict], WireWord]:
    """Where somebody breaks it off, what was judged until then is kept, and the rest as pending."""
    gates = check_request(request)
    judged: list[GateVerdict] = []
    try:
        word = await ask_car(CarCheck(job, request, conditions), judged.append)
    except asyncio.CancelledError:
        _keep(job, request, [*gates, *judged, *pending(len(judged))])
        raise
    return [*gates, *judged], word


def _keep(job: JobContext, request: WriteRequest, gates: Sequence[GateVerdict]) -> None:
    changes = _changes(request)
    job.journal.note_with_event(
        job.id,
        GatesEvent(job.id, tuple(gates), changes),
        gates=[gate_told(gate) for gate in gates],
        changes=[asdict(change) for change in changes],
    )
