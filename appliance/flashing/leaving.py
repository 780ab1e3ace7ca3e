"""Letting go of an ECU at the end of an operation, unless it would not come back from that."""

from __future__ import annotations

from appliance.definitions.schema import Definition
from appliance.flashing import history
from appliance.flashing.context import Job
from appliance.flashing.journal import Journal


def must_stay(journal: Journal, definition: Definition) -> bool:
    """Whether an ECU of this kind may be half written, and would answer no more once it left its session.

    Its default session is the application's, which is not whole; only some bootloaders answer without one.
    """
    if definition.recovery.recoverability == "bootloader":
        return False
    return any(history.touched(journal.steps(flash.id)) for flash in journal.open_flashes())


async def let_go(job: Job) -> None:
    """Give the car back its normal communication, where the ECU survives that."""
    if not must_stay(job.journal, job.definition):
        await job.access.close()
