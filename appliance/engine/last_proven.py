"""What a job last made of its ECU's memory, and proved."""

from __future__ import annotations

import logging

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.originals import target_of_order
from appliance.engine.plaintext import Opened
from appliance.flashing.image import MemoryImage
from appliance.flashing.write_order import WriteOrder

_PROVEN = (JobState.DONE.value, JobState.RESTORED.value)
log = logging.getLogger("pitbox.engine")


def last_proven(
    box: EngineContext, job_id: str, definition: Definition, opened: Opened
) -> MemoryImage | None:
    """To be wiped with `opened`; None where the job proved no write, or its files are not whole any more."""
    flash = next((one for one in box.journal.flashes(job_id) if one.outcome in _PROVEN), None)
    if flash is None:
        return None
    try:
        written = target_of_order(box, definition, WriteOrder.from_json(flash.write_order), opened)
    except PitboxError as error:
        log.warning("%s: %s", error.code, error.what)
        return None
    return None if written.gaps else written.image
