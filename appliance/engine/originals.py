"""The job's verified original: from memory to sealed images and back."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError
from appliance.contract.jobs import JobState
from appliance.contract.phrases import phrase
from appliance.contract.records import EcuIdentity as SealedIdentity
from appliance.contract.records import Region as SealedRegion
from appliance.contract.records import Segment
from appliance.definitions.memory import Region
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.plaintext import Opened
from appliance.flashing.gates.request import NOT_TOLD
from appliance.flashing.history import is_rescue
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import JobRecord
from appliance.protocols.access import EcuIdentity
from appliance.vault.contents import new_file_id, split, wipe
from appliance.vault.errors import VaultError
from appliance.vault.images import ImageKind, SealedImage

log = logging.getLogger("pitbox.engine")

_PROVEN = (JobState.DONE.value, JobState.RESTORED.value)
_ROTTEN = frozenset(
    {"VAULT_BLOB_CHANGED", "VAULT_BLOB_MISSING", "VAULT_CANNOT_OPEN", "VAULT_IMAGE_INCOMPLETE"}
)
LOST = frozenset({"VAULT_IMAGE_MISSING", "VAULT_IMAGE_DAMAGED"})


@dataclass(frozen=True, slots=True)
class Original:
    """The sealed original of a job and its plaintext."""

    file_id: str
    image: MemoryImage


def sealed_identity(box: EngineContext, identity: EcuIdentity) -> SealedIdentity:
    """Identity as it is stored: the VIN only as a keyed hash."""
    return SealedIdentity(
        hw=identity.hw or NOT_TOLD,
        sw=identity.sw or NOT_TOLD,
        boot=identity.boot,
        vin_hmac=box.keys.vin_hmac(identity.vin) if identity.vin else None,
    )


def sealed_regions(regions: Iterable[Region]) -> tuple[SealedRegion, ...]:
    """Regions as the vault names them."""
    return tuple(SealedRegion(name=one.name, place=one.place) for one in regions)


def save_image(
    box: EngineContext,
    kind: ImageKind,
    job: JobRecord,
    regions: Iterable[Region],
    segments: tuple[Segment, ...],
    parent: str | None = None,
    file_id: str | None = None,
) -> str:
    """Record sealed segments as a file of the vault; returns its id."""
    serial = job.identity.serial if job.identity else None
    record = SealedImage(
        file_id=file_id or new_file_id(),
        kind=kind,
        definition=job.definition_id or "",
        identity=sealed_identity(box, job.identity or EcuIdentity()),
        method=job.method or "obd",
        regions=sealed_regions(regions),
        segments=segments,
        parent=parent,
        job=job.id,
        definition_sha256=job.definition_sha256,
        serial_hmac=box.keys.serial_hmac(serial) if serial else None,
    )
    box.images.save(record)
    return record.file_id


def seal_target(
    box: EngineContext, definition: Definition, job: JobRecord, tuned: MemoryImage, file_id: str | None
) -> str:
    """Keep the new content sealed to this box until the write is closed, so that recovery needs nobody."""
    segments = tuple(
        box.blobs.put(piece, place.at) for at, data in tuned.spans.items() for place, piece in split(at, data)
    )
    regions = [region for region in definition.regions if region.place.at in tuned.spans]
    return save_image(box, ImageKind.TUNED, job, regions, segments, job.original_file, file_id)


def load_original(box: EngineContext, job: JobRecord, opened: Opened | None = None) -> Original | None:
    """The job's original, opened in memory to be wiped with `opened`; None when the job has none.

    Raises PitboxError ORIGINAL_OF_ANOTHER, or VaultError where a part of it is damaged.
    """
    record = _original_of(box, job)
    if record is None:
        return None
    try:
        contents = box.images.read_plaintext(record)
    except VaultError as error:
        if error.code not in _ROTTEN:
            raise
        raise _damaged(box, job, record) from error
    return Original(record.file_id, (opened or Opened()).keep(MemoryImage(contents)))


def _damaged(box: EngineContext, job: JobRecord, record: SealedImage) -> VaultError:
    """Exactly what of an original is not whole, and what can be done while the ECU is."""
    salvage = box.images.salvage(record)
    wipe(*salvage.contents.values())
    places = len(salvage.damaged)
    damaged = VaultError(
        "VAULT_ORIGINAL_DAMAGED" if places != 1 else "VAULT_ORIGINAL_DAMAGED.one",
        places=places,
        file=record.file_id,
        points=[phrase("place_problem", place=str(one.place), problem=one.why) for one in salvage.damaged],
    )
    damaged.advise_instead(*_ways_to_an_original(box, job))
    return damaged


def _ways_to_an_original(box: EngineContext, job: JobRecord) -> tuple[Phrase, Phrase]:
    """Where the bytes can still come from, with no write open."""
    copy = phrase("advice.second_copy", state=str(box.settings.state_dir))
    proven = next((one.outcome for one in box.journal.flashes(job.id) if one.outcome in _PROVEN), None)
    if proven == JobState.DONE.value:
        return copy, phrase("advice.exported_copy")
    return phrase("advice.read_again"), phrase("advice.else", way=copy)


def _original_of(box: EngineContext, job: JobRecord) -> SealedImage | None:
    """The record of the job's original, which must be of this job and its ECU, whatever the journal says."""
    if job.original_file is None:
        return None
    try:
        record = box.images.load(job.original_file)
    except VaultError as error:
        if error.code in LOST:
            error.advise_instead(*_ways_to_an_original(box, job))
        raise
    ecu = sealed_identity(box, job.identity or EcuIdentity())
    strange = _strange(record, job, ecu, rescue=is_rescue(box.journal, job.id))
    if strange:
        raise EngineError("ORIGINAL_OF_ANOTHER", file=record.file_id, job=job.id, points=strange)
    return record


def _strange(record: SealedImage, job: JobRecord, ecu: SealedIdentity, *, rescue: bool) -> tuple[Phrase, ...]:
    """A rescue puts an original back that another job read: its ECU must fit all the same."""
    pairs = [
        ("kind", record.kind.value, ImageKind.ORIGINAL.value),
        ("definition", record.definition, job.definition_id),
        ("hardware", record.identity.hw, ecu.hw),
        ("bootloader", record.identity.boot, ecu.boot),
        ("VIN", record.identity.vin_hmac, ecu.vin_hmac if ecu.vin_hmac or not rescue else None),
        ("job", record.job, None if rescue else job.id),
    ]
    return tuple(
        phrase("original.differs", field=name, stored=str(stored), wanted=str(wanted))
        for name, stored, wanted in pairs
        if stored != wanted and not (None in (stored, wanted) and (rescue or name == "job"))
    )


def open_image(box: EngineContext, file_id: str, opened: Opened) -> MemoryImage:
    """A stored file's plaintext, to be wiped with `opened`. Raises VaultError."""
    return opened.keep(MemoryImage(box.images.read_plaintext(box.images.load(file_id))))


def tunes_of(box: EngineContext, original_file: str) -> list[str]:
    """Ids of the tuned files that were made from an original and sealed here, whatever the journal knows."""
    records = filter(None, (_record(box, file_id) for file_id in box.images.file_ids()))
    return [one.file_id for one in records if one.kind is ImageKind.TUNED and one.parent == original_file]


def known_originals(box: EngineContext) -> list[dict[str, object]]:
    """Sealed originals in the store, whatever the journal knows of them; a damaged one hides no other."""
    records = filter(None, (_record(box, file_id) for file_id in box.images.file_ids()))
    return [
        {
            "file": one.file_id,
            "definition": one.definition,
            "earlier": one.parent,
            **one.identity.model_dump(exclude={"vin_hmac"}),
        }
        for one in records
        if one.kind is ImageKind.ORIGINAL
    ]


def _record(box: EngineContext, file_id: str) -> SealedImage | None:
    try:
        return box.images.load(file_id)
    except VaultError as error:
        log.warning("%s: %s", error.code, error.what)
        return None
