"""Letting go of an ECU at the end of an operation, unless it would not come back from that."""

from __future__ import annotations

from appliance.contract.errors import EcuSafety
from appliance.contract.jobs import JobState
from appliance.definitions.access.base import AccessDefinition
from appliance.flashing.context import JobContext
from appliance.flashing.journal import Journal
from appliance.flashing.safety import standing

_MAY_BE_HALF_WRITTEN = frozenset({EcuSafety.HALF_WRITTEN, EcuSafety.UNKNOWN})


def must_stay(journal: Journal, access: AccessDefinition, job_id: str) -> bool:
    """Whether a job's ECU may be half written, and would answer no more once it left its session.

    Its default session is the application's, which is not whole; only some bootloaders answer without one.
    """
    if access.recovery.recoverability == "bootloader":
        return False
    found = standing(journal, job_id)
    reachable = any(one.state != JobState.NEEDS_BENCH.value for one in found.open_writes)
    return reachable and found.ecu in _MAY_BE_HALF_WRITTEN


async def let_go(job: JobContext) -> None:
    """Give the car back its normal communication, where the ECU survives that."""
    if not must_stay(job.journal, job.access_definition, job.id):
        await job.access.lifecycle.close()
