"""A read of an ECU that this box tuned before is no original of it: which one is, and who has it."""

from __future__ import annotations

import logging

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.preview import EarlierOriginal
from appliance.contract.records import Segment
from appliance.engine.context import EngineContext
from appliance.engine.last_proven import left_out_of
from appliance.flashing.journal import FlashRecord, JobRecord
from appliance.flashing.marks import NOTHING_ERASED, SETTLED
from appliance.flashing.same_ecu import compare
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import EcuIdentity
from appliance.vault.images import SealedImage

log = logging.getLogger("pitbox.engine")


def read_before_a_tune(box: EngineContext, job: JobRecord, segments: tuple[Segment, ...]) -> str | None:
    """File id of the original that was read before this box tuned the ECU that was just read for `job`.

    None where no tune of this box can be in it, by its word or because it holds that original again.
    """
    jobs = {one.id: one for one in box.journal.jobs() if _same_ecu(one, job)}
    writes = (flash for flash in box.journal.flashes() if flash.job_id in jobs)
    last = next((flash for flash in writes if flash.outcome != NOTHING_ERASED), None)
    if last is None or last.outcome == SETTLED:
        return None
    written = _record(box, WriteOrder.from_json(last.write_order).original_file)
    if written is None:
        return None
    first = written.parent if _all_back(last, written) else written.parent or written.file_id
    before = None if first is None else _record(box, first)
    return None if before is None or _content(before.segments) == _content(segments) else before.file_id


def earlier_of(box: EngineContext, original_file: str | None) -> EarlierOriginal | None:
    """What of an earlier original a stored one is to be told with; None for an original of the ECU itself."""
    record = None if original_file is None else _record(box, original_file)
    if record is None or record.parent is None:
        return None
    before = _record(box, record.parent)
    return EarlierOriginal(file=record.parent, job=before.job if before else None)


def _same_ecu(one: JobRecord, job: JobRecord) -> bool:
    """By what belongs to one ECU alone, as both jobs were told it; a car has several ECUs."""
    likeness = compare(job.identity or EcuIdentity(), one.identity or EcuIdentity())
    return one.definition_id == job.definition_id and likeness.proven


def _all_back(flash: FlashRecord, original: SealedImage) -> bool:
    """Whether the write put back all that had been read."""
    return flash.outcome == JobState.RESTORED.value and not left_out_of(
        WriteOrder.from_json(flash.write_order), original.memories
    )


def _content(segments: tuple[Segment, ...]) -> frozenset[tuple[object, str]]:
    return frozenset((one.place, one.pt_sha256) for one in segments)


def _record(box: EngineContext, file_id: str) -> SealedImage | None:
    try:
        return box.images.load(file_id)
    except PitboxError as error:
        log.warning("%s: %s", error.code, error.what)
        return None
