"""Where the bytes of a write come from: its target and its original, as far as they are whole on disk."""

from __future__ import annotations

import logging

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.job_access import access_of
from appliance.engine.originals import LOST
from appliance.engine.plaintext import Opened
from appliance.flashing.errors import FINISH_TUNED, PUT_ORIGINAL_BACK
from appliance.flashing.gaps import Gap, Target, unknown
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.journal import FlashRecord
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import Block
from appliance.vault.errors import VaultError
from appliance.vault.images import SealedImage

log = logging.getLogger("pitbox.engine")


def target_of_order(box: EngineContext, definition: Definition, order: WriteOrder, opened: Opened) -> Target:
    """What a write of the job of that definition was to make of the memory, as far as it is whole on disk.

    Raises PitboxError if the bytes are not that.
    """
    target = _open_what_is_left(box, definition, order.original_file, opened)
    if order.tuned_file is not None:
        target = _overlaid(target, _open_what_is_left(box, definition, order.tuned_file, opened), opened)
    if not target.gaps:
        order.check_target(target.image.sha256())
    return target


def what_was_there(
    box: EngineContext, definition: Definition, order: WriteOrder, opened: Opened
) -> MemoryImage | None:
    """What the ECU held before a tuned file was begun, as far as it is whole; of an original nobody knows."""
    if order.tuned_file is None:
        return None
    return _open_what_is_left(box, definition, order.original_file, opened).image


def _open_what_is_left(box: EngineContext, definition: Definition, file_id: str, opened: Opened) -> Target:
    """As `open_what_is_whole`; a file whose record is lost may have held anything."""
    try:
        return open_what_is_whole(box, file_id, opened)
    except VaultError as error:
        if error.code not in LOST:
            raise
        log.warning("%s: %s", error.code, error.what)
    gaps = tuple(Gap(region.place, None) for region in definition.regions)
    return Target(MemoryImage({}), gaps)


def open_what_is_whole(box: EngineContext, file_id: str, opened: Opened) -> Target:
    """A stored file as far as it is whole, to be wiped with `opened`. Raises VaultError without a record."""
    record = box.images.load(file_id)
    try:
        return Target(opened.keep(MemoryImage(box.images.read_plaintext(record))))
    except VaultError as error:
        log.warning("%s: %s", error.code, error.what)
    salvage = box.images.salvage(record)
    hashes = {segment.place: segment.pt_sha256 for segment in record.segments}
    gaps = tuple(Gap(one.place, hashes.get(one.place)) for one in salvage.damaged)
    return Target(opened.keep(MemoryImage(salvage.contents)), gaps)


def _overlaid(original: Target, tuned: Target, opened: Opened) -> Target:
    """The tuned bytes on top; under a gap of theirs the original is not what belongs there."""
    if not original.gaps and not tuned.gaps:
        return Target(opened.keep(original.image.overlaid(tuned.image)))
    lost = [gap.place for gap in tuned.gaps]
    image = opened.keep(opened.keep(original.image.without(lost)).patched(tuned.image))
    hidden = [gap for gap in original.gaps if not image.covers(gap.place)]
    return Target(image, (*tuned.gaps, *hidden))


def held_blocks(
    definition: Definition, access: AccessDefinition, record: SealedImage, *, writable_only: bool = False
) -> list[Block]:
    """The blocks that a stored file has bytes for, and that the access reaches."""
    return [
        block
        for block in blocks_of(definition, access, writable_only=writable_only)
        if any(one.place.contains(block.place) for one in record.regions)
    ]


def order_of_original(
    box: EngineContext, definition: Definition, access: AccessDefinition, file_id: str, opened: Opened
) -> WriteOrder:
    """Every writable block of a stored original back that the access reaches; the others of it are guarded.

    What it does not hold was never read, and so never written either: the definition was another one then.
    """
    record = box.images.load(file_id)
    original = open_what_is_whole(box, file_id, opened)
    held = held_blocks(definition, access, record)
    writable = tuple(block for block in held if definition.region(block.region).writable)
    return WriteOrder(
        kind="original",
        definition_id=definition.id,
        method=record.method,
        original_file=file_id,
        tuned_file=None,
        blocks=writable,
        guarded=tuple(block for block in held if block not in writable),
        target_sha256="" if original.gaps else original.image.sha256(),
    )


def _access(box: EngineContext, definition: Definition, flash: FlashRecord) -> AccessDefinition:
    return access_of(box.journal.job(flash.job_id), definition)


def original_instead(
    box: EngineContext, definition: Definition, flash: FlashRecord, order: WriteOrder, opened: Opened
) -> WriteOrder:
    """The open write turned to its original, if that is not what it writes already.

    Raises VaultError, which names the source that is left.
    """
    try:
        found = order_of_original(
            box, definition, _access(box, definition, flash), order.original_file, opened
        )
        return found if order.tuned_file is not None else order
    except VaultError as error:
        if error.code in LOST:
            copy = phrase("advice.second_copy", state=str(box.settings.state_dir))
            error.advise_instead(copy)
            if order.tuned_file is not None:
                finish = phrase("advice.finish_tuned", job=flash.job_id)
                error.advise_instead(finish, phrase("advice.or", way=copy))
        raise


def other_source(
    box: EngineContext, definition: Definition, flash: FlashRecord, order: WriteOrder, opened: Opened
) -> Phrase | None:
    """What a person can do instead of an order whose bytes are damaged: where another source is whole."""
    begun = WriteOrder.from_json(flash.write_order)
    if begun.tuned_file is None:
        return None
    try:
        if order.tuned_file is None:
            other, way = begun, FINISH_TUNED
        else:
            other = order_of_original(
                box, definition, _access(box, definition, flash), order.original_file, opened
            )
            way = PUT_ORIGINAL_BACK
        target = target_of_order(box, definition, other, opened)
    except VaultError as error:
        log.warning("%s: %s", error.code, error.what)
        return None
    return None if unknown(other.blocks, target.image) else way
