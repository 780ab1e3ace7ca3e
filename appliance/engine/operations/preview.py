"""What would be written, without asking or touching the ECU."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import rfc8785

from appliance.contract.errors import PitboxError
from appliance.contract.places import Range
from appliance.contract.preview import Preview, RegionChange
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.evidence import badge
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.job_access import access_by, access_of
from appliance.engine.last_proven import last_proven
from appliance.engine.operations.restore_without_journal import chosen_original, read_with
from appliance.engine.operations.write import identified, interrupted_flash, not_confirmed, opened_files
from appliance.engine.originals import Original, held_blocks, load_original
from appliance.engine.plaintext import Opened, wiped_afterwards
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.journal import JobRecord
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import Block, EcuIdentity


def rituals_of(access: AccessDefinition, when: str) -> list[str]:
    """What the technician must do at a step."""
    return [ritual.text for ritual in access.rituals if ritual.when == when]


async def preview_write(box: EngineContext, job_id: str, upload: str, wish: MasterWish) -> Preview:
    """A tuned file's effect; the file stays with the box for the write itself. Raises PitboxError."""
    job, definition = identified(box, job_id)
    with wiped_afterwards() as opened:
        data = box.upload(upload)
        original, tuned, _ = opened_files(box, job, definition, data, wish, opened)
        if original is None:
            raise PitboxError("NO_ORIGINAL", f"job {job_id} has no stored read", do_now="Read the ECU first.")
        name = hashlib.sha256(data).hexdigest()
        if tuned.content is None or not _fits(original.image, tuned.content):
            reasons = tuned.papers.signatures or ("the file does not fit the regions of this job's original",)
            found = _preview(box, job, definition, "write", "tuned", name)
            found["refused"] = list(reasons)
            return _digested(found)
        target = original.image.overlaid(tuned.content)
        chosen = [
            block for block in blocks_of(definition, writable_only=True) if _holds(tuned.content, block)
        ]
        return _compared(box, job, definition, "write", name, original, target, chosen, opened)


async def preview_restore(box: EngineContext, job_id: str) -> Preview:
    """The effect of putting the original back. Raises PitboxError."""
    job, definition = identified(box, job_id)
    with wiped_afterwards() as opened:
        original = load_original(box, job, opened)
        if original is None:
            raise PitboxError("NO_ORIGINAL", f"job {job_id} has no stored read", do_now="Read the ECU first.")
        writable = blocks_of(definition, writable_only=True)
        name, target = original.file_id, original.image
        return _compared(box, job, definition, "restore", name, original, target, writable, opened)


async def preview_recover(box: EngineContext, job_id: str | None, original: bool) -> Preview:
    """What an interrupted write goes on with; no sealed file is opened, for a damaged one must not hinder."""
    flash = interrupted_flash(box, job_id)
    job, definition = identified(box, flash.job_id)
    order = WriteOrder.from_json(flash.write_order)
    if original or order.tuned_file is None:
        writable = blocks_of(definition, writable_only=True)
        regions, name, kind = _unknown(definition, writable), order.original_file, "original"
    else:
        regions, name, kind = _unknown(definition, order.blocks), order.tuned_file, "tuned"
    found = _preview(box, job, definition, "recover", kind, name)
    found["regions"] = regions
    return _digested(found)


async def preview_rescue(box: EngineContext, definition_id: str, file_id: str | None) -> Preview:
    """What a rescue without a journal would put back. Raises PitboxError."""
    original = chosen_original(box, definition_id, file_id)
    definition = read_with(box, original)
    access = access_by(definition, original.method)
    blocks = held_blocks(definition, original, writable_only=True)
    found = Preview(
        job=None,
        verb="recover",
        kind="original",
        definition=definition.id,
        name=definition.name,
        evidence=badge(definition, access),
        vin=None,
        hw=original.identity.hw,
        sw=original.identity.sw,
        file=original.file_id,
        target_sha256=None,
        compared_with=None,
        regions=_unknown(definition, blocks),
        rituals=rituals_of(access, "recovery"),
        refused=[],
        digest="",
    )
    return _digested(found)


def _compared(
    box: EngineContext,
    job: JobRecord,
    definition: Definition,
    verb: str,
    file: str,
    original: Original,
    target: MemoryImage,
    blocks: Sequence[Block],
    opened: Opened,
) -> Preview:
    """Against what the ECU holds as far as this box knows: what it last wrote there, else the original."""
    known, compared_with = original.image, "original"
    written = last_proven(box, job.id, definition, opened)
    if written is not None:
        known, compared_with = written, "last_write"
    runs = target.changed_ranges(known)
    regions = [_change(definition, name, count, runs) for name, count in _counted(blocks).items()]
    kind = "original" if verb == "restore" else "tuned"
    found = _preview(box, job, definition, verb, kind, file)
    found |= {"regions": regions, "target_sha256": target.sha256(), "compared_with": compared_with}
    return _digested(found)


def _preview(
    box: EngineContext, job: JobRecord, definition: Definition, verb: str, kind: str, file: str
) -> Preview:
    """Of a file that does not open: what it would make of the memory is not known."""
    identity = job.identity or EcuIdentity()
    return Preview(
        job=job.id,
        verb=verb,
        kind=kind,
        definition=definition.id,
        name=definition.name,
        evidence=badge(definition, access_of(job, definition)),
        vin=identity.vin,
        hw=identity.hw,
        sw=identity.sw,
        file=file,
        target_sha256=None,
        compared_with=None,
        regions=[],
        rituals=rituals_of(access_of(job, definition), "recovery" if verb == "recover" else "before_write"),
        refused=[],
        digest="",
    )


def _digested(found: Preview) -> Preview:
    told: dict[str, Any] = {key: value for key, value in found.items() if key != "digest"}
    found["digest"] = hashlib.sha256(rfc8785.dumps(told)).hexdigest()
    return found


def refuse_other(found: Preview, confirmed: str | None) -> None:
    """Raises PitboxError where something else would be done than was shown and confirmed."""
    if confirmed is not None and found["digest"] != confirmed:
        raise not_confirmed()


def _fits(image: MemoryImage, content: MemoryImage) -> bool:
    return all(image.covers(place) for place, _ in content.pieces)


def _holds(image: MemoryImage, block: Block) -> bool:
    return image.covers(block.place)


def _counted(blocks: Iterable[Block]) -> dict[str, int]:
    """Blocks per region, in the order of their addresses."""
    found: dict[str, int] = {}
    for block in blocks:
        found[block.region] = found.get(block.region, 0) + 1
    return found


def _change(definition: Definition, name: str, blocks: int, runs: Sequence[Range]) -> RegionChange:
    """What changes inside one region; `runs` are all changed bytes."""
    region = definition.region(name)
    inside = [common for run in runs if (common := run.common(region.place))]
    return RegionChange(
        name=name,
        memory=region.memory,
        start=region.start,
        size_bytes=region.size_bytes,
        blocks=blocks,
        changed_bytes=sum(one.length for one in inside),
        first=inside[0].start if inside else None,
        last=inside[-1].end - 1 if inside else None,
    )


def _unknown(definition: Definition, blocks: Iterable[Block]) -> list[RegionChange]:
    """Regions of a write whose present content nobody knows."""
    regions = ((definition.region(name), count) for name, count in _counted(blocks).items())
    return [
        RegionChange(
            name=region.name,
            memory=region.memory,
            start=region.start,
            size_bytes=region.size_bytes,
            blocks=count,
            changed_bytes=None,
            first=None,
            last=None,
        )
        for region, count in regions
    ]
