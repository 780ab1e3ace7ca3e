"""The job's verified original, and the target of a write: from sealed images to memory and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.contract.errors import PitboxError
from appliance.definitions.memory import Region
from appliance.definitions.schema import Definition
from appliance.engine.box import Box
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import JobRecord
from appliance.flashing.order import WriteOrder
from appliance.protocols.access import EcuIdentity
from appliance.vault.images import ImageKind, SealedImage
from appliance.vault.records import EcuIdentity as SealedIdentity
from appliance.vault.records import Region as SealedRegion
from appliance.vault.records import Segment, new_file_id, split


@dataclass(frozen=True, slots=True)
class Original:
    """The sealed original of a job and its plaintext."""

    file_id: str
    image: MemoryImage
    record: SealedImage


def sealed_identity(box: Box, identity: EcuIdentity) -> SealedIdentity:
    """Identity as it is stored: the VIN only as a keyed hash."""
    return SealedIdentity(
        hw=identity.hw or "unknown",
        sw=identity.sw or "unknown",
        boot=identity.boot,
        vin_hmac=box.keys.vin_hmac(identity.vin) if identity.vin else None,
    )


def sealed_regions(regions: Iterable[Region]) -> tuple[SealedRegion, ...]:
    """Regions as the vault names them."""
    return tuple(SealedRegion(name=r.name, start=r.start, size=r.size_bytes) for r in regions)


def save_image(
    box: Box,
    kind: ImageKind,
    job: JobRecord,
    regions: Iterable[Region],
    segments: tuple[Segment, ...],
    parent: str | None = None,
) -> str:
    """Record sealed segments as a file of the vault; returns its id."""
    record = SealedImage(
        file_id=new_file_id(),
        kind=kind,
        definition=job.definition_id or "",
        identity=sealed_identity(box, job.identity or EcuIdentity()),
        method=job.method or "obd",
        regions=sealed_regions(regions),
        segments=segments,
        parent=parent,
    )
    box.images.save(record)
    return record.file_id


def seal_target(box: Box, definition: Definition, job: JobRecord, tuned: MemoryImage) -> str:
    """Keep the new content sealed to this box until the write is closed, so that recovery needs nobody."""
    segments = tuple(
        box.blobs.put(piece, address)
        for start, data in tuned.spans.items()
        for address, piece in split(start, data)
    )
    regions = [region for region in definition.regions if region.start in tuned.spans]
    return save_image(box, ImageKind.TUNED, job, regions, segments, job.original_file)


def load_original(box: Box, job: JobRecord) -> Original | None:
    """The job's original, opened in memory; None when the job has none."""
    if job.original_file is None:
        return None
    record = box.images.load(job.original_file)
    return Original(job.original_file, MemoryImage(box.images.read_plaintext(record)), record)


def target_of_order(box: Box, order: WriteOrder) -> MemoryImage:
    """What an interrupted write was to make of the memory. Raises PitboxError if the bytes are not that."""
    original = MemoryImage(box.images.read_plaintext(box.images.load(order.original_file)))
    target = original
    if order.tuned_file is not None:
        tuned = MemoryImage(box.images.read_plaintext(box.images.load(order.tuned_file)))
        target = original.overlaid(tuned)
    if target.sha256() != order.target_sha256:
        raise PitboxError(
            "TARGET_CHANGED",
            "the sealed target is not the one the write was begun with",
            do_now="Put the original back with `pitbox recover --original`.",
        )
    return target
