"""The gates that need the car and the box as they are now, and the sum of all gates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Protocol

from appliance.contract.events import GatesEvent, GateVerdict, RegionChange
from appliance.contract.jobs import JobState
from appliance.flashing.changes import changes_of
from appliance.flashing.context import JobContext
from appliance.flashing.errors import GatesRefusedError
from appliance.flashing.gates import Authorisation, WriteRequest, check_request
from appliance.flashing.plan import FlashPlan
from appliance.protocols.access import AccessError, EcuIdentity, EcuState, told_identity


class Conditions(Protocol):
    """What the engine knows of the link and of the box itself."""

    async def link(self) -> list[GateVerdict]:
        """Bus quiet, link clean, engine off."""

    def host(self) -> list[GateVerdict]:
        """Disk, temperature, pending updates."""


async def preflight(job: JobContext, request: WriteRequest, conditions: Conditions) -> FlashPlan:
    """Check every gate and show them all. Raises GatesRefusedError unless all pass."""
    before = _enter(job)
    try:
        gates = await _all_gates(job, request, conditions)
        changes = _changes(request)
        job.emit(GatesEvent(job.id, tuple(gates), changes))
        job.journal.note(
            job.id,
            gates=[[gate.name, gate.verdict, gate.detail] for gate in gates],
            changes=[asdict(change) for change in changes],
        )
        if not all(gate.passed for gate in gates):
            raise GatesRefusedError(gates)
        return FlashPlan(request)
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


async def _all_gates(job: JobContext, request: WriteRequest, conditions: Conditions) -> list[GateVerdict]:
    return [
        *check_request(request),
        await _identity(job, request.papers),
        *await job.power.gates(),
        *await conditions.link(),
        *conditions.host(),
        _no_open_write(job),
    ]


async def _identity(job: JobContext, papers: Authorisation) -> GateVerdict:
    """HW, SW, boot and VIN, asked again now, against the job and against the file's papers."""
    try:
        if await job.access.lifecycle.state() is not EcuState.APPLICATION:
            return GateVerdict("identity", "fail", "the application does not answer: use recover instead")
        now = await told_identity(job.access)
    except AccessError as error:
        return GateVerdict("identity", "fail", f"the ECU could not be asked: {error}")
    problems = _mismatches(now, job.journal.job(job.id).identity, papers)
    if problems:
        return GateVerdict("identity", "fail", "; ".join(problems))
    return GateVerdict("identity", "pass", f"HW {now.hw}, SW {now.sw}, VIN {now.vin or 'not offered'}")


def _mismatches(now: EcuIdentity, known: EcuIdentity | None, papers: Authorisation) -> list[str]:
    problems = []
    if now.hw is None:
        problems.append("the ECU does not tell its hardware number")
    if known is None:
        problems.append("the job has no identity: identify first")
        known = now
    fields = ["hw", "boot", "vin"] if papers.own_original else ["hw", "sw", "boot", "vin"]
    for field in fields:
        asked, kept = getattr(now, field), getattr(known, field)
        if asked != kept:
            problems.append(f"{field.upper()} is {asked}, the job was read from {kept}")
    if None not in (now.serial, known.serial) and now.serial != known.serial:
        problems.append(f"SERIAL is {now.serial}, the job was read from {known.serial}")
    for field, wanted in (("hw", papers.ecu_hw), ("sw", papers.ecu_sw), ("boot", papers.ecu_boot)):
        if wanted is not None and wanted != getattr(now, field):
            problems.append(f"the file is for {field.upper()} {wanted}, this ECU is {getattr(now, field)}")
    if papers.vin_matches is False:
        problems.append("the file is for another VIN")
    return problems


def _no_open_write(job: JobContext) -> GateVerdict:
    others = job.journal.open_flashes()
    if others:
        return GateVerdict(
            "no_open_write", "fail", f"job {others[0].job_id} is half written: recover it first"
        )
    return GateVerdict("no_open_write", "pass", "no write is open")
