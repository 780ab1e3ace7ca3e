"""Verify memory against a stored file; read and clear fault codes."""

from __future__ import annotations

from typing import Any

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events import Phase
from appliance.engine.box import Box
from appliance.engine.ecu import on_ecu
from appliance.flashing.diagnosis import clear_dtcs, new_codes, read_dtcs
from appliance.flashing.errors import VerifyFailedError, access_problem
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.patience import open_persistently
from appliance.flashing.verifying import differing, method_of
from appliance.protocols.access import AccessError, Purpose


async def verify(box: Box, job_id: str, file_id: str | None = None) -> dict[str, Any]:
    """Compare every block of the ECU with a stored file, the job's original by default. Writes nothing."""
    job = box.journal.job(job_id)
    definition = box.definition(job.definition_id or "", job.definition_sha256)
    chosen = file_id or job.original_file
    if chosen is None:
        raise PitboxError("NO_ORIGINAL", f"job {job_id} has no stored read", do_now="Read the ECU first.")
    expected = MemoryImage(box.images.read_plaintext(box.images.load(chosen)))
    blocks = [block for block in blocks_of(definition) if expected.covers(block.start, block.size)]
    purpose = Purpose.WRITE if definition.checking.verify == "hash" else Purpose.READ
    async with on_ecu(box, job_id, definition) as ecu:
        try:
            await open_persistently(ecu.job, purpose)
            wrong = await differing(ecu.job, blocks, expected, Phase.VERIFY, purpose)
        except AccessError as error:
            raise access_problem(error) from error
        finally:
            await ecu.job.access.close()
        method = method_of(ecu.job)
    if wrong:
        names = [f"{block.region} 0x{block.start:08X}+0x{block.size:X}" for block in wrong]
        raise VerifyFailedError(names, EcuSafety.UNTOUCHED)
    return {
        "job": job_id,
        "file": chosen,
        "method": method,
        "blocks": len(blocks),
        "sha256": expected.sha256(),
    }


async def dtc(box: Box, job_id: str, clear: bool = False) -> dict[str, Any]:
    """Fault codes now; with `clear`, before and after clearing."""
    job = box.journal.job(job_id)
    definition = box.definition(job.definition_id or "", job.definition_sha256)
    async with on_ecu(box, job_id, definition) as ecu:
        before = await read_dtcs(ecu.job)
        cleared = await clear_dtcs(ecu.job) if clear else None
        after = await read_dtcs(ecu.job) if clear else before
    if before is None:
        raise PitboxError(
            "DTC_UNREADABLE", "the ECU did not tell its fault codes", do_now="Ignition on? Then try again."
        )
    return {
        "job": job_id,
        "dtcs": [{"code": code.code, "status": code.status} for code in after or ()],
        "before": [code.code for code in before],
        "cleared": cleared,
        "new": list(new_codes(before, after)),
    }
