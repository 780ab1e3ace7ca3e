"""What the engine may say, in English: requests, files, operations, and what to do about them."""

from __future__ import annotations

from appliance.contract.problem_texts.words import Words

ERRORS: dict[str, Words] = {
    "VAULT_FILE_MISSING": Words(
        "the file of proposal {proposal} is not in the store",
        "Hand the file in again and propose it anew.",
    ),
    "VAULT_ORIGINAL_DAMAGED": Words(
        "{places} places of the sealed original {file} cannot be used",
        "Bring back a second copy of the box's state directory, then repeat the command.",
    ),
    "VAULT_ORIGINAL_DAMAGED.one": Words(
        "{places} place of the sealed original {file} cannot be used",
        "Bring back a second copy of the box's state directory, then repeat the command.",
    ),
    "SOURCE_DIFFERS": Words(
        "the file differs in {places} places from what was sealed as the original {file}",
        "Nothing was changed. Take the export of this very original: what differs is named below.",
    ),
    "SOURCE_UNFIT": Words(
        "the file of {bytes} bytes is not the original {file}, whose memories have these lengths: {wanted}",
        "Nothing was changed. Take the export of this very original: .bin, Intel HEX or S-record.",
    ),
    "SOURCE_UNFIT.package": Words(
        "the file is a package to be written, and no copy of an original",
        "Nothing was changed. Take the original as `pitbox export` writes it: .bin, Intel HEX or S-record.",
    ),
}

PHRASES: dict[str, str] = {
    "place_problem": "{place}: {problem}",
    "advice.second_copy": "Bring back a second copy of {state}, then repeat the command.",
    "advice.exported_copy": "The ECU holds the tuned file meanwhile. An exported copy of the original goes "
    "back on a master-role box by `pitbox identify`, `pitbox read`, `pitbox write COPY`.",
    "advice.read_again": "The ECU still holds it, as far as this box knows: `pitbox identify`, then `pitbox "
    "read`, make a new job.",
    "advice.else": "Else: {way}",
    "advice.or": "Or: {way}",
    "advice.finish_tuned": "Finish the tuned file instead: `pitbox recover --job {job}` needs nothing of "
    "the original that it replaces.",
    "advice.may_need_bench": "If it stays silent it may be half written, and needs the bench: {author_text}",
    "advice.correct_checksums": "The checksums of a plain file can be put right by the box: repeat the "
    "command with `--correct-checksums`, as in `pitbox write FILE --correct-checksums`.",
    "advice.name_regions": "Bytes may differ only where `--regions` allows it, of {regions} (default: cal.).",
    "identity.not_the_originals": "{field} is not that of the original",
    "memory.outside_differs": "memory that no write touches differs: {places}",
    "memory.as_no_file": "none of {compared} places looked at is as any file of this ECU",
    "advice.write_not_finished": "Its write is not finished: `pitbox recover --job {job}`.",
    "advice.restore_or_take": "Something else has written this ECU. `pitbox restore --job {job}` puts its "
    "original back; if what it holds is right, `pitbox identify` and then `pitbox read` take it as a new "
    "job's original.",
}
