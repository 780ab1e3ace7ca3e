"""Write a tuned file, put the original back, finish what was interrupted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events import StateEvent
from appliance.definitions.schema import Definition
from appliance.engine.box import Box, checksum_module
from appliance.engine.conditions import LiveConditions
from appliance.engine.ecu import Ecu, on_ecu
from appliance.engine.originals import Original, load_original, seal_target, target_of_order
from appliance.engine.tuning import MasterWish, Tuned, open_tuned, package_plain_file
from appliance.flashing.diagnosis import clear_dtcs, read_dtcs
from appliance.flashing.gates import Papers, WriteRequest
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.journal import FlashRecord, JobRecord
from appliance.flashing.order import WriteOrder
from appliance.flashing.preflight import preflight
from appliance.flashing.recovering import recover as finish
from appliance.flashing.writing import WriteResult
from appliance.flashing.writing import write as execute
from appliance.protocols.access import Dtc

_PACKAGE_MAGIC = b"PK\x03\x04"


async def write(box: Box, job_id: str, upload: str, wish: MasterWish | None = None) -> dict[str, Any]:
    """Write a tuned file: a signed package, or on a master-role box a plain file."""
    job, definition = _identified(box, job_id)
    original = load_original(box, job)
    data = box.upload(upload)
    if not data.startswith(_PACKAGE_MAGIC) and original is not None:
        data = package_plain_file(
            box, job, definition, original, data, wish or MasterWish(use="bench_research")
        )
    tuned = open_tuned(box, job, data)
    return await _write(box, job, definition, original, tuned)


async def restore(box: Box, job_id: str) -> dict[str, Any]:
    """Put the ECU's own original back: offline, for everyone, always."""
    job, definition = _identified(box, job_id)
    return await _write(box, job, definition, load_original(box, job), Tuned(None, Papers(own_original=True)))


async def recover(box: Box, job_id: str | None = None, original: bool = False) -> dict[str, Any]:
    """Finish the interrupted write, or put the original back instead."""
    flash = _interrupted_flash(box, job_id)
    job, definition = _identified(box, flash.job_id)
    order = WriteOrder.from_json(flash.write_order)
    if original:
        order = _back_to_original(box, definition, order)
    target = target_of_order(box, order)
    async with on_ecu(box, job.id, definition) as ecu:
        result = await finish(ecu.job, flash, order, target)
        after = await read_dtcs(ecu.job)
    return _done(box, job.id, result, after, ecu)


async def _write(
    box: Box, job: JobRecord, definition: Definition, original: Original | None, tuned: Tuned
) -> dict[str, Any]:
    async with on_ecu(box, job.id, definition) as ecu:
        sealed = None
        if tuned.content is not None:
            sealed = seal_target(box, definition, job, tuned.content)
        request = WriteRequest(
            job_id=job.id,
            definition=definition,
            method=job.method or "obd",
            original_file=original.file_id if original else None,
            original=original.image if original else None,
            tuned=tuned.content,
            tuned_file=sealed,
            papers=tuned.papers,
            checksum=checksum_module(definition),
        )
        live = LiveConditions(definition, ecu.port, ecu.client, box.settings.state_dir)
        before = await read_dtcs(ecu.job)
        box.journal.note(job.id, dtcs_before=_codes(before))
        plan = await preflight(ecu.job, request, live)
        await clear_dtcs(ecu.job)
        box.emit(StateEvent(job.id, "flashing"))
        result = await execute(ecu.job, plan)
        after = await read_dtcs(ecu.job)
    return _done(box, job.id, result, after, ecu)


def _identified(box: Box, job_id: str) -> tuple[JobRecord, Definition]:
    job = box.journal.job(job_id)
    if job.definition_id is None:
        raise PitboxError(
            "JOB_NOT_IDENTIFIED", f"job {job_id} has no ECU yet", do_now="Run `pitbox identify`."
        )
    return job, box.definition(job.definition_id, job.definition_sha256)


def _interrupted_flash(box: Box, job_id: str | None) -> FlashRecord:
    flash = box.journal.last_flash(job_id) if job_id else next(iter(box.journal.open_flashes()), None)
    if flash is None or flash.outcome not in (None, "needs bench"):
        raise PitboxError(
            "NOTHING_TO_RECOVER",
            "no write was interrupted" + (f" in job {job_id}" if job_id else ""),
            do_now="To put an original back, use `pitbox restore`.",
            ecu=EcuSafety.INTACT,
        )
    return flash


def _back_to_original(box: Box, definition: Definition, order: WriteOrder) -> WriteOrder:
    original = MemoryImage(box.images.read_plaintext(box.images.load(order.original_file)))
    writable = blocks_of(definition, writable_only=True)
    fixed = [block for block in blocks_of(definition) if block not in writable]
    return replace(
        order,
        kind="original",
        tuned_file=None,
        blocks=writable,
        guarded=tuple(block for block in fixed if original.covers(block.start, block.size)),
        target_sha256=original.sha256(),
    )


def _done(
    box: Box, job_id: str, result: WriteResult, after: tuple[Dtc, ...] | None, ecu: Ecu
) -> dict[str, Any]:
    ceiling = ecu.job.access.meter().ceiling_bytes_per_s
    spent = result.programming_s
    facts: dict[str, Any] = {
        "result": result.outcome.value,
        "blocks": {"total": result.total, "written": result.written, "skipped": result.skipped},
        "verify": {
            "method": result.verify_method,
            "blocks": result.verified_blocks,
            "result": "pass",
            "sha256": result.target_sha256,
        },
        "write_efficiency": result.programmed_bytes / spent / ceiling if spent and ceiling else None,
        "dtcs_after": _codes(after),
    }
    box.journal.note(job_id, **facts)
    box.emit(StateEvent(job_id, result.outcome.value))
    return {"job": job_id, **facts}


def _codes(dtcs: tuple[Dtc, ...] | None) -> list[str] | None:
    return None if dtcs is None else [dtc.code for dtc in dtcs]
