"""What would be written, without asking or touching the ECU."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, cast

import rfc8785

from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.gates import LETS_THROUGH, Verdict, gate_told
from appliance.contract.operations import OfRecovery, OfRestore, OfWrite, Parameters
from appliance.contract.places import Range
from appliance.contract.preview import FORM, Asked, Preview, RegionChange
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.evidence import badge
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.earlier_original import earlier_of
from appliance.engine.handed_in_original import prove
from appliance.engine.job_access import access_of, chosen_access, over
from appliance.engine.last_proven import last_proven
from appliance.engine.operations.recovered_original import original_of_recovery
from appliance.engine.operations.restore_without_journal import chosen_original, read_with
from appliance.engine.operations.write import (
    identified,
    interrupted_flash,
    not_confirmed,
    opened_files,
    request_of,
)
from appliance.engine.originals import Original, load_original
from appliance.engine.plaintext import Opened, wiped_afterwards
from appliance.engine.sources import held_blocks
from appliance.engine.tuned_package import OWN_ORIGINAL, wish_of
from appliance.engine.waiving import refuse_unwaivable
from appliance.flashing.erase_groups import EraseGroups
from appliance.flashing.gates.judging import check_request
from appliance.flashing.gates.request import WriteRequest
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.journal import JobRecord
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import Block, EcuIdentity
from appliance.vault.contents import sha256_hex


def rituals_of(access: AccessDefinition, when: str) -> list[str]:
    """What the technician must do at a step."""
    return [ritual.text for ritual in access.rituals if ritual.when == when]


async def preview_write(box: EngineContext, asked: OfWrite) -> Preview:
    """A tuned file's effect; the file stays with the box for the write itself. Raises PitboxError."""
    job, definition = identified(box, asked.job)
    with wiped_afterwards() as opened:
        data = box.upload(asked.upload)
        original, tuned, _ = opened_files(box, job, definition, lambda: data, wish_of(asked), opened)
        if original is None:
            raise _no_original(job)
        found = _preview(box, job, definition, "write", "tuned", sha256_hex(data), asked)
        _judge(found, request_of(box, job, definition, original, tuned, opened, asked.engine_off))
        if tuned.content is None or not _fits(original.image, tuned.content):
            return _digested(found)
        target = original.image.overlaid(tuned.content)
        access = access_of(job, definition)
        writable = blocks_of(definition, access, writable_only=True)
        groups = EraseGroups(definition, access)
        named = [block for block in writable if _holds(tuned.content, block)]
        chosen = groups.widened(groups.finished(named))
        _compare(found, box, definition, original, target, chosen, opened)
        return _digested(found)


async def preview_restore(box: EngineContext, asked: OfRestore) -> Preview:
    """The effect of putting the original back. Raises PitboxError."""
    refuse_unwaivable(asked.waivers)
    job, definition = identified(box, asked.job)
    job = over(job, definition, asked.access)
    with wiped_afterwards() as opened:
        original = load_original(box, job, opened)
        if original is None:
            raise _no_original(job)
        found = _preview(box, job, definition, "restore", "original", original.file_id, asked)
        _judge(found, request_of(box, job, definition, original, OWN_ORIGINAL, opened))
        writable = blocks_of(definition, access_of(job, definition), writable_only=True)
        _compare(found, box, definition, original, original.image, writable, opened)
        held = {place.memory for place, _ in original.image.pieces}
        found["left_out"] = sorted(held - access_of(job, definition).reaches(definition.memories))
        found["earlier"] = earlier_of(box, original.file_id)
        return _digested(found)


async def preview_recover(box: EngineContext, asked: OfRecovery) -> Preview:
    """What an interrupted write goes on with; no sealed file is opened, for a damaged one must not hinder.

    With a definition: what a rescue without a journal would put back. A copy of the original that was
    handed in is proven here already. Raises PitboxError.
    """
    if asked.upload is not None:
        prove(original_of_recovery(box, asked), box.upload(asked.upload))
    if asked.definition is not None:
        return _digested(_rescue(box, asked, asked.definition))
    flash = interrupted_flash(box, asked.job)
    job, definition = identified(box, flash.job_id)
    job = over(job, definition, asked.access)
    order = WriteOrder.from_json(flash.write_order)
    if asked.original or order.tuned_file is None:
        writable = blocks_of(definition, access_of(job, definition), writable_only=True)
        regions, name, kind = _unknown(definition, writable), order.original_file, "original"
    else:
        regions, name, kind = _unknown(definition, order.blocks), order.tuned_file, "tuned"
    found = _preview(box, job, definition, "recover", kind, name, asked)
    found["regions"] = regions
    if kind == "original":
        found["earlier"] = earlier_of(box, name)
    return _digested(found)


def _rescue(box: EngineContext, asked: OfRecovery, definition_id: str) -> Preview:
    original = chosen_original(box, definition_id, asked.file)
    definition = read_with(box, original)
    access = chosen_access(definition, original.method, original.memories, asked.access)
    blocks = held_blocks(definition, access, original, writable_only=True)
    return Preview(
        form=FORM,
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
        left_out=sorted(original.memories - access.reaches(definition.memories)),
        earlier=earlier_of(box, original.file_id),
        rituals=rituals_of(access, "recovery"),
        access=access.name,
        definition_sha256=definition.digest(),
        asked=_stated(asked),
        gates=[],
        refused=[],
        digest="",
    )


def _judge(found: Preview, request: WriteRequest) -> None:
    """Every gate that needs no car, as it will be judged again before the first erase."""
    verdicts = check_request(request)
    found["gates"] = [gate_told(one) for one in verdicts]
    found["refused"] = [one.name for one in verdicts if not one.passed]


def _compare(
    found: Preview,
    box: EngineContext,
    definition: Definition,
    original: Original,
    target: MemoryImage,
    blocks: Sequence[Block],
    opened: Opened,
) -> None:
    """Against what the ECU holds as far as this box knows: what it last wrote there, else the original."""
    known, compared_with = original.image, "original"
    written = last_proven(box, str(found["job"]), definition, opened)
    if written is not None:
        known, compared_with = written, "last_write"
    runs = target.changed_ranges(known)
    regions = [_change(definition, name, count, runs) for name, count in _counted(blocks).items()]
    found |= {"regions": regions, "target_sha256": target.sha256(), "compared_with": compared_with}


def _preview(
    box: EngineContext,
    job: JobRecord,
    definition: Definition,
    verb: str,
    kind: str,
    file: str,
    asked: Parameters,
) -> Preview:
    """Of a file that does not open: what it would make of the memory is not known."""
    identity, access = job.identity or EcuIdentity(), access_of(job, definition)
    return Preview(
        form=FORM,
        job=job.id,
        verb=verb,
        kind=kind,
        definition=definition.id,
        name=definition.name,
        evidence=badge(definition, access),
        vin=identity.vin,
        hw=identity.hw,
        sw=identity.sw,
        file=file,
        target_sha256=None,
        compared_with=None,
        regions=[],
        left_out=[],
        rituals=rituals_of(access, "recovery" if verb == "recover" else "before_write"),
        access=access.name,
        definition_sha256=definition.digest(),
        asked=_stated(asked),
        gates=[],
        refused=[],
        digest="",
    )


def _stated(asked: Parameters) -> Asked:
    """Without what names the request itself: its file is told by its hash."""
    told: Any = asked.model_dump(mode="json", exclude={"verb", "of", "upload", "confirmed"})
    return cast(Asked, told)


def _no_original(job: JobRecord) -> PitboxError:
    return EngineError("NO_ORIGINAL", job=job.id)


def _digested(found: Preview) -> Preview:
    """A refusal may tell the time, and the same file is refused by the same gates a second later."""
    told: dict[str, Any] = {key: value for key, value in found.items() if key not in ("digest", "refused")}
    told["gates"] = [
        one if Verdict(one["verdict"]) in LETS_THROUGH else {**one, "detail": "", "findings": []}
        for one in found["gates"]
    ]
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
        place=region.place.as_dict(),
        blocks=blocks,
        changed_bytes=sum(one.length for one in inside),
        changed=Range.between(region.memory, inside[0].start, inside[-1].end).as_dict() if inside else None,
    )


def _unknown(definition: Definition, blocks: Iterable[Block]) -> list[RegionChange]:
    """Regions of a write whose present content nobody knows."""
    regions = ((definition.region(name), count) for name, count in _counted(blocks).items())
    return [
        RegionChange(
            name=region.name,
            place=region.place.as_dict(),
            blocks=count,
            changed_bytes=None,
            changed=None,
        )
        for region, count in regions
    ]
