"""Which sealed original a recovery is about."""

from __future__ import annotations

from appliance.contract.operations import OfRecovery
from appliance.engine.context import EngineContext
from appliance.engine.operations.restore_without_journal import chosen_original
from appliance.engine.operations.write import interrupted_flash
from appliance.flashing.write_order import WriteOrder
from appliance.vault.images import SealedImage


def original_of_recovery(box: EngineContext, asked: OfRecovery) -> SealedImage:
    """The original of the open write, or of the definition that was named. Raises PitboxError."""
    if asked.definition is not None:
        return chosen_original(box, asked.definition, asked.file)
    flash = interrupted_flash(box, asked.job)
    return box.images.load(WriteOrder.from_json(flash.write_order).original_file)
