"""Putting a sealed original back when the journal that knew of the write is lost."""

from __future__ import annotations

import uuid

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.schema import Definition
from appliance.engine.box import Box
from appliance.engine.ecu import on_ecu
from appliance.engine.originals import known_originals, order_of_original
from appliance.engine.plaintext import wiped_afterwards
from appliance.flashing.errors import access_problem
from appliance.flashing.recovering import mark_interrupted
from appliance.protocols.access import EcuIdentity, EcuSilentError, EcuState
from appliance.vault.images import ImageKind, SealedImage


async def reopen(box: Box, definition_id: str, file_id: str | None = None) -> str:
    """A job whose interrupted write puts a stored original back, for `recover` to finish; returns its id.

    The ECU must answer, and what it tells of itself must be what the original was read from.
    Raises PitboxError.
    """
    definition = box.definition(definition_id)
    original = _original(box, definition, file_id)
    job_id = uuid.uuid4().hex[:12]
    identity = await _identity(box, job_id, definition, original)
    box.journal.create_job(job_id)
    box.journal.describe(job_id, definition.id, box.pinned.pin(definition), original.method, identity)
    box.journal.note(job_id, rescued=True)
    with wiped_afterwards() as opened:
        order = order_of_original(box, definition, original.file_id, opened)
    box.journal.move(job_id, JobState.IDENTIFIED)
    box.journal.move(job_id, JobState.READING)
    box.journal.read_verified(job_id, original.file_id)
    box.journal.move(job_id, JobState.PREFLIGHT)
    box.journal.open_flash(job_id, order.to_json())
    mark_interrupted(box.journal)
    return job_id


def _original(box: Box, definition: Definition, file_id: str | None) -> SealedImage:
    """The named file, or the only original of that definition."""
    if file_id is not None:
        record = box.images.load(file_id)
        if record.kind is ImageKind.ORIGINAL and record.definition == definition.id:
            return record
        raise PitboxError(
            "FILE_OTHER_DEFINITION",
            f"the stored file {file_id} is no original of {definition.id}",
            do_now="Choose an original of this ECU.",
        )
    fitting = [one for one in known_originals(box) if one["definition"] == definition.id]
    if len(fitting) != 1:
        raise PitboxError(
            "ORIGINAL_AMBIGUOUS" if fitting else "NO_ORIGINAL",
            f"{len(fitting)} sealed originals of {definition.id} are stored",
            do_now="Name the file of this very ECU." if fitting else "Look on the box that read this ECU.",
            details=tuple(f"{one['file']}: HW {one['hw']}, SW {one['sw']}" for one in fitting),
        )
    return box.images.load(str(fitting[0]["file"]))


async def _identity(box: Box, job_id: str, definition: Definition, original: SealedImage) -> EcuIdentity:
    """The identity the original was read from, checked against whatever the ECU still tells."""
    async with on_ecu(box, job_id, definition) as ecu:
        if await ecu.job.access.state() is EcuState.SILENT:
            raise access_problem(EcuSilentError("the ECU does not answer"))
        told = await ecu.job.access.identify()
    known = original.identity
    vin_hmac = box.keys.vin_hmac(told.vin) if told.vin else None
    pairs = (("HW", told.hw, known.hw), ("boot", told.boot, known.boot), ("VIN", vin_hmac, known.vin_hmac))
    strange = [name for name, now, then in pairs if now is not None and then is not None and now != then]
    if strange:
        raise PitboxError(
            "ECU_CHANGED",
            f"the original was read from another ECU: {', '.join(strange)} differ",
            do_now="Nothing was written. Choose the original of this very ECU.",
        )
    return EcuIdentity(hw=known.hw, sw=known.sw, boot=known.boot, vin=told.vin)
