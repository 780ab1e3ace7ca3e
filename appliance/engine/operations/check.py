"""Verify memory against a stored file; read and clear fault codes."""

from __future__ import annotations

import logging

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.events import Phase
from appliance.contract.jobs import JobState
from appliance.contract.phrases import phrase
from appliance.contract.results import FaultCode, FaultCodes, Verified
from appliance.definitions.schema import Definition
from appliance.engine.confirming import confirmed
from appliance.engine.context import EngineContext
from appliance.engine.ecu import on_ecu, require_same_ecu
from appliance.engine.ecu_discovery import in_bootloader
from appliance.engine.job_access import access_of
from appliance.engine.last_proven import last_proven, left_out
from appliance.engine.originals import open_image
from appliance.engine.plaintext import Opened, wiped_afterwards
from appliance.engine.sources import target_of_order
from appliance.flashing.diagnosis import clear_dtcs, new_codes, read_dtcs
from appliance.flashing.errors import FileDiffersError, TargetDamagedError, VerifyFailedError
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.journal import JobRecord
from appliance.flashing.marks import SETTLED, UNFINISHED
from appliance.flashing.recognising import recognise, require_very_ecu
from appliance.flashing.retries import asked_patiently, open_persistently
from appliance.flashing.session_end import let_go
from appliance.flashing.verifying import differing, method_of
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import Block, EcuState, Purpose, told_identity

log = logging.getLogger("pitbox.engine")
_WRITTEN = (JobState.DONE.value, JobState.RESTORED.value)
_MEANT = (*_WRITTEN, *UNFINISHED, SETTLED)
"""Outcomes of a write that counts: one abandoned before its first erase says nothing of the ECU."""


async def verify(box: EngineContext, job_id: str, file_id: str | None = None) -> Verified:
    """Compare every block of the ECU with what it should hold, or with a stored file. Writes nothing."""
    job = box.journal.job(job_id)
    definition = box.definition(job.definition_id or "", job.definition_sha256)
    with wiped_afterwards() as opened:
        expected = _expected(box, job, definition, file_id, opened)
        access = access_of(job, definition)
        blocks = [block for block in blocks_of(definition, access) if expected.covers(block.place)]
        result, wrong = await _compare(box, job, definition, expected, blocks)
        if not wrong:
            return result
        names = [str(block) for block in wrong]
        if file_id is not None and not _is_meant(box, job, definition, expected, opened):
            raise FileDiffersError(names, file_id)
        raise VerifyFailedError(names, _way_on(box, job))


async def _compare(
    box: EngineContext, job: JobRecord, definition: Definition, expected: MemoryImage, blocks: list[Block]
) -> tuple[Verified, list[Block]]:
    """What is told of a comparison, and the blocks that differ."""
    by_hash = access_of(job, definition).proof == "hash"
    purpose = Purpose.WRITE if by_hash else Purpose.READ
    async with on_ecu(box, job.id, definition, purpose=purpose) as ecu:
        await require_same_ecu(ecu)
        if await ecu.access.lifecycle.state() is EcuState.BOOTLOADER:
            raise in_bootloader(box, definition.id, await told_identity(ecu.access))
        try:
            await open_persistently(ecu, purpose)
            wrong = await differing(ecu, blocks, expected, Phase.VERIFY, purpose, read=not by_hash)
        finally:
            await let_go(ecu)
        method = method_of(ecu) if by_hash else "read_back"
    told = Verified(job=job.id, method=method, blocks=len(blocks), sha256=expected.sha256())
    return told, wrong


def _is_meant(
    box: EngineContext, job: JobRecord, definition: Definition, image: MemoryImage, opened: Opened
) -> bool:
    """Whether the ECU should hold just that, or nobody can tell what it should hold."""
    try:
        return _expected(box, job, definition, None, opened).sha256() == image.sha256()
    except PitboxError as error:
        log.warning("%s: %s", error.code, error.what)
        return True


def _way_on(box: EngineContext, job: JobRecord) -> Phrase:
    """Out of a memory that is not what it should be."""
    flash = box.journal.last_flash(job.id)
    if flash is not None and flash.outcome in UNFINISHED:
        return phrase("advice.write_not_finished", job=job.id)
    return phrase("advice.restore_or_take", job=job.id)


def _expected(
    box: EngineContext, job: JobRecord, definition: Definition, file_id: str | None, opened: Opened
) -> MemoryImage:
    """The named file; else what the job last wrote; else what it read. Raises PitboxError."""
    flash = next((one for one in box.journal.flashes(job.id) if one.outcome in _MEANT), None)
    if file_id is None and flash is not None and flash.outcome in _WRITTEN:
        order = WriteOrder.from_json(flash.write_order)
        target = target_of_order(box, definition, order, opened)
        if target.gaps:
            ranges = [str(gap) for gap in target.gaps]
            raise TargetDamagedError(ranges, None)
        earlier = last_proven(box, job.id, definition, opened) if left_out(order, target.image) else None
        return earlier or target.image
    chosen = file_id or job.original_file
    if chosen is None:
        raise EngineError("NO_ORIGINAL", job=job.id)
    of = box.images.load(chosen).definition
    if of != job.definition_id:
        raise EngineError("FILE_OTHER_DEFINITION", file=chosen, of=of, definition=job.definition_id or "")
    return open_image(box, chosen, opened)


async def dtc(box: EngineContext, job_id: str, clear: bool = False, car: str | None = None) -> FaultCodes:
    """Fault codes now; with `clear`, before and after clearing, on the job's own ECU or the car named."""
    job = box.journal.job(job_id)
    definition = box.definition(job.definition_id or "", job.definition_sha256)
    async with on_ecu(box, job_id, definition, confirmed=confirmed(box, job, car)) as ecu:
        known = require_very_ecu if clear else recognise
        await asked_patiently(ecu, lambda: known(ecu))
        before = await read_dtcs(ecu)
        cleared = await clear_dtcs(ecu) if clear else None
        after = await read_dtcs(ecu) if clear else before
    if before is None:
        raise EngineError("DTC_UNREADABLE")
    return FaultCodes(
        job=job_id,
        dtcs=[FaultCode(code=code.code, status=code.status) for code in after or ()],
        before=[code.code for code in before],
        cleared=cleared,
        new=list(new_codes(before, after)),
    )
