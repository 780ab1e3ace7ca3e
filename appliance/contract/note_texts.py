"""What notes may say, in English: the one place where their words are made, by key and fields."""

from __future__ import annotations

NOTES: dict[str, str] = {
    # --- reading
    "reads_differ": "Reads differ in {pieces} of {of_pieces} pieces of {place}: reading again",
    "sample_differs": "A sample differs from both reads in {place}: reading this part again",
    "region_unreadable": "{region} cannot be read: {error}",
    "region_unseen": "{region} cannot be looked at: {error}",
    # --- trying again
    "trying_again": "{error}: trying again",
    "block_again": "{error}: starting this block again",
    "block_held": "{error}: waiting to go on",
    "erase_refused": "{error}, after an erase that was refused",
    # --- writing
    "guards_strange": "{blocks} blocks that the write leaves alone are not as they were read",
    "guards_incomparable": "this ECU compares nothing: what the write leaves alone is not looked at",
    "memory_unseen": "memory cannot be looked at: {error}",
    "blocks_uncompared": "what the ECU holds cannot be compared now, so that it is written anew: {error}",
    "guards_uncompared": "what the write leaves alone cannot be compared now: {error}",
    "blocks_unlike": "{blocks} blocks do not hold what was written: writing them again",
    "block_suspected": "{error}, though every block holds its target: writing {block} again",
    "memory_incomparable": "memory cannot be compared with the original: {error}",
    # --- what the disk lost
    "lost_blocks_proven": "{blocks} blocks that the disk lost are proven through the application",
    "gap_other": "{place}: the ECU does not hold what the disk lost",
    "gap_held": "{place}: the ECU itself still holds what the disk lost",
    "gap_unreadable": "{place} cannot be read: {error}",
    "copy_resealed": "{place}: the disk has lost it, and it is sealed again",
    "original_handed_in": "the original {file} was handed in: {places} places that the disk had lost are "
    "sealed again",
    "way_back_lost": "{place}: what the ECU was read with is whole nowhere any more, and will not go back",
    # --- the owner's secrets
    "secret_sealed": "the owner's '{name}' for {definition} is sealed here",
    "secret_gone": "the owner's '{name}' for {definition} is gone",
    "secret_taken_over": "the owner's '{name}' for {definition} lay in the clear: it is sealed now, and the "
    "file wiped",
    # --- fault codes
    "dtcs_unread": "Fault codes were not read: {error}",
    "dtcs_untold": "Fault codes were not read: no answer in time",
    "dtcs_uncleared": "Fault codes were not cleared: {error}",
    "dtcs_clear_unanswered": "Fault codes were not cleared: no answer in time",
}
