"""Putting a sealed original back when the journal that knew of the write is lost."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.phrases import phrase
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from appliance.engine.confirming import same_name
from appliance.engine.context import EngineContext
from appliance.engine.ecu import on_ecu
from appliance.engine.job_access import chosen_access
from appliance.engine.originals import known_originals, tunes_of
from appliance.engine.plaintext import wiped_afterwards
from appliance.engine.sources import open_what_is_whole, order_of_original
from appliance.flashing.context import JobContext
from appliance.flashing.errors import CarUnconfirmedError, EcuChangedError, access_problem
from appliance.flashing.fingerprint import Fingerprint, fingerprint
from appliance.flashing.gates.request import NOT_TOLD
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import JobRecord
from appliance.flashing.recognising import told_of
from appliance.flashing.same_ecu import Likeness, compare
from appliance.flashing.set_aside import refuse_same_ecu
from appliance.protocols.access import (
    EcuIdentity,
    EcuRefusedError,
    EcuSilentError,
    EcuState,
    Purpose,
    told_identity,
)
from appliance.vault.images import ImageKind, SealedImage


async def reopen(
    box: EngineContext,
    definition_id: str,
    file_id: str | None = None,
    car: str | None = None,
    access_name: str | None = None,
) -> str:
    """A job whose interrupted write puts a stored original back, for `recover` to finish; returns its id.

    The ECU must answer, and what it tells of itself must be what the original was read from; where that is
    too little, `car` is a person's word. Nothing is kept of a rescue that is refused. Raises PitboxError.
    """
    box.journal.refuse_second_write()
    original = chosen_original(box, definition_id, file_id)
    definition = read_with(box, original)
    access = chosen_access(definition, original.method, original.memories, access_name)
    with wiped_afterwards() as opened:
        order = order_of_original(box, definition, access, original.file_id, opened)
    job_id = uuid.uuid4().hex[:12]
    identity = await _identity(box, job_id, definition, access, original, car)
    job = JobRecord(
        job_id,
        JobState.INTERRUPTED,
        definition.id,
        box.pinned.pin(definition),
        original.method,
        identity,
        original.file_id,
        {"access": access.name},
        box.now(),
    )
    refuse_same_ecu(box.journal, job)
    box.journal.open_rescue(job, order.to_json())
    return job_id


def read_with(box: EngineContext, original: SealedImage) -> Definition:
    """The very version an original was read with, where it is still there; a pack may be newer, or gone.

    Raises PitboxError.
    """
    pinned = box.pinned.get(original.definition_sha256) if original.definition_sha256 else None
    return pinned or box.definition(original.definition)


def chosen_original(box: EngineContext, definition_id: str, file_id: str | None) -> SealedImage:
    """The named file, or the only original of that definition. Raises PitboxError."""
    if file_id is not None:
        record = box.images.load(file_id)
        if record.kind is ImageKind.ORIGINAL and record.definition == definition_id:
            return record
        raise EngineError("FILE_OTHER_DEFINITION.no_original", file=file_id, definition=definition_id)
    fitting = [one for one in known_originals(box) if one["definition"] == definition_id]
    if not fitting:
        raise EngineError("NO_ORIGINAL.of_definition", definition=definition_id)
    if len(fitting) > 1:
        choices = [_choice(one) for one in fitting]
        raise EngineError("ORIGINAL_AMBIGUOUS", count=len(fitting), definition=definition_id, points=choices)
    return box.images.load(str(fitting[0]["file"]))


def _choice(one: Mapping[str, object]) -> Phrase:
    file, hw, sw, earlier = (str(one[name] or "") for name in ("file", "hw", "sw", "earlier"))
    if earlier:
        return phrase("original.read_later", file=file, hw=hw, sw=sw, earlier=earlier)
    return phrase("original.known", file=file, hw=hw, sw=sw)


async def _identity(
    box: EngineContext,
    job_id: str,
    definition: Definition,
    access: AccessDefinition,
    original: SealedImage,
    car: str | None,
) -> EcuIdentity:
    """The identity the original was read from, checked against whatever the ECU still tells and holds."""
    async with on_ecu(box, job_id, definition, purpose=Purpose.WRITE, access=access) as ecu:
        state = await ecu.access.lifecycle.state()
        if state is EcuState.SILENT:
            raise _silent(access)
        told = await told_identity(ecu.access)
        known = _known(box, original, told)
        likeness = compare(told, known)
        if likeness.other:
            raise EcuChangedError(
                [phrase("identity.not_the_originals", field=name.upper()) for name in likeness.strange]
            )
        if likeness.proven and car is None:
            vin = known.vin
        else:
            vin = _named(box, original, told, car)
            ecu.car.meant = known
            await _refuse_strange_memory(box, ecu, original, likeness, state)
    return replace(known, serial=told.serial or known.serial, vin=vin, bootloader_hw=told.bootloader_hw)


async def _refuse_strange_memory(
    box: EngineContext, ecu: JobContext, original: SealedImage, likeness: Likeness, state: EcuState
) -> None:
    """A person's word counts where memory leaves it open, not against memory. Raises EcuChangedError.

    An ECU that only its session keeps alive is not opened for a look, and one that lets nobody read has none.
    """
    dead = state is EcuState.BOOTLOADER
    if likeness.proven or (dead and ecu.access_definition.recovery.recoverability != "bootloader"):
        return
    purpose = Purpose.RECOVER if dead else Purpose.READ
    with wiped_afterwards() as opened:
        kept = open_what_is_whole(box, original.file_id, opened).image
        try:
            seen = await fingerprint(ecu, kept, None, purpose)
            if not (seen.own or seen.blank or likeness.agreed or seen.outside.other):
                seen = await _beside_its_tunes(box, ecu, original, kept, seen, purpose)
        except EcuRefusedError as error:
            ecu.note("memory_incomparable", error=error.said)
            return
    if seen.outside.other:
        raise EcuChangedError([phrase("memory.outside_differs", places=tuple(seen.outside.other))])
    if seen.compared and not (seen.own or seen.blank or likeness.agreed):
        raise EcuChangedError([phrase("memory.as_no_file", compared=seen.compared)])


async def _beside_its_tunes(
    box: EngineContext,
    ecu: JobContext,
    original: SealedImage,
    kept: MemoryImage,
    seen: Fingerprint,
    purpose: Purpose,
) -> Fingerprint:
    """As first seen, or as soon as something of a file that was made from the original is found."""
    for file_id in tunes_of(box, original.file_id):
        with wiped_afterwards() as opened:
            tune = open_what_is_whole(box, file_id, opened).image
            written = opened.keep(opened.keep(kept.without(place for place, _ in tune.pieces)).patched(tune))
            again = await fingerprint(ecu, kept, None, purpose, written)
        if again.own or again.blank:
            return again
    return seen


def _silent(access: AccessDefinition) -> PitboxError:
    """A plug that sits loosely, or an ECU that a write has lost to the bench: nobody remembers which."""
    error = access_problem(EcuSilentError(phrase("ecu.silent")), access)
    if access.recovery.recoverability != "bootloader":
        error.advise(phrase("advice.may_need_bench", author_text=access.recovery.advice))
    return error


def _known(box: EngineContext, original: SealedImage, told: EcuIdentity) -> EcuIdentity:
    """What the original's record says of its ECU, and the job that read it, where the journal still has it.

    Of VIN and serial number only keyed hashes are kept: one that fits what is told is that very one.
    """
    sealed = original.identity
    readers = (job.identity for job in box.journal.jobs() if job.original_file == original.file_id)
    read = next((identity for identity in readers if identity is not None), EcuIdentity())
    vin, serial = read.vin, read.serial
    if sealed.vin_hmac is not None and told.vin is not None:
        vin = told.vin if box.keys.vin_hmac(told.vin) == sealed.vin_hmac else "of another car"
    if original.serial_hmac is not None and told.serial is not None:
        same = box.keys.serial_hmac(told.serial) == original.serial_hmac
        serial = told.serial if same else "of another ECU"
    return replace(
        read,
        hw=None if sealed.hw == NOT_TOLD else sealed.hw,
        sw=None if sealed.sw == NOT_TOLD else sealed.sw,
        boot=sealed.boot,
        vin=vin,
        serial=serial,
    )


def _named(box: EngineContext, original: SealedImage, told: EcuIdentity, car: str | None) -> str | None:
    """The VIN as a person gave it; None where the original was read without one, and its id was given.

    Raises PitboxError where nobody named the car, or another one.
    """
    vin_hmac = original.identity.vin_hmac
    if car is None:
        key = "CAR_UNCONFIRMED.by_file" if vin_hmac is None else "CAR_UNCONFIRMED"
        raise CarUnconfirmedError(key, points=told_of(told))
    if vin_hmac is None and same_name(car, original.file_id):
        return None
    vin = car.strip().upper()
    if vin_hmac is None or box.keys.vin_hmac(vin) != vin_hmac:
        raise EngineError("CAR_MISNAMED.original", file=original.file_id)
    return vin
