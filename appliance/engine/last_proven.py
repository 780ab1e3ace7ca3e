"""What a job last made of its ECU's memory, and proved."""

from __future__ import annotations

import logging

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.places import Start
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.plaintext import Opened
from appliance.engine.sources import target_of_order
from appliance.flashing.image import MemoryImage
from appliance.flashing.write_order import WriteOrder

_PROVEN = (JobState.DONE.value, JobState.RESTORED.value)
log = logging.getLogger("pitbox.engine")


def last_proven(
    box: EngineContext, job_id: str, definition: Definition, opened: Opened
) -> MemoryImage | None:
    """To be wiped with `opened`; None where the job proved no write, or its files are not whole any more."""
    spans: dict[Start, bytes | bytearray] = {}
    seen: set[str] = set()
    for flash in (one for one in box.journal.flashes(job_id) if one.outcome in _PROVEN):
        order = WriteOrder.from_json(flash.write_order)
        try:
            written = target_of_order(box, definition, order, opened)
        except PitboxError as error:
            log.warning("%s: %s", error.code, error.what)
            return None
        if written.gaps:
            return None
        spans |= {at: data for at, data in written.image.spans.items() if at[0] not in seen}
        seen |= _memories(order)
        if not left_out(order, written.image):
            break
    return MemoryImage(spans) if spans else None


def left_out(order: WriteOrder, target: MemoryImage) -> frozenset[str]:
    """Memories of the target that the write did not reach: what an earlier one proved there still holds."""
    return left_out_of(order, frozenset(place.memory for place, _ in target.pieces))


def left_out_of(order: WriteOrder, memories: frozenset[str]) -> frozenset[str]:
    """Those of these memories that the write did not reach."""
    return memories - _memories(order)


def _memories(order: WriteOrder) -> frozenset[str]:
    return frozenset(block.memory for block in (*order.blocks, *order.guarded))
