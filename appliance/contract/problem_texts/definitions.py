"""What may be said of definitions and of the checksums that they name, in English."""

from __future__ import annotations

from appliance.contract.problem_texts.words import Words

ERRORS: dict[str, Words] = {
    "DEFINITION_INVALID": Words(
        "the definition {file} has {problems} problems",
        "Correct each line named, then run `pitbox definitions check {file}`.",
    ),
    "DEFINITION_NOT_SIMULATED": Words(
        "the definition {definition} has no [simulation] table, so there is no simulated ECU of it",
        "Use it on a real ECU, or add a [simulation] table to its file.",
    ),
    "DEFINITION_UNKNOWN": Words(
        "there is no definition {definition!r}",
        "Run `pitbox definitions list` and use an id it shows.",
    ),
    "CHECKSUM_UNSUPPORTED": Words(
        "{family}: {why}",
        "Nothing was written. Write the stock file, or send this file back to whoever made it.",
    ),
    "DEFINITION_INVALID.one": Words(
        "the definition {file} has {problems} problem",
        "Correct each line named, then run `pitbox definitions check {file}`.",
    ),
    "CHECKSUM_LENGTH_DIFFERS": Words(
        "{problem}",
        "Nothing was written. Write the stock file, or send this file back to whoever made it.",
    ),
    "CHECKSUM_STOCK_UNVERIFIED": Words(
        "{problem}",
        "Nothing was written. Write the stock file, or send this file back to whoever made it.",
    ),
    "CHECKSUM_UNKNOWN_TOUCHED": Words(
        "{problem}",
        "Nothing was written. Write the stock file, or send this file back to whoever made it.",
    ),
    "CHECKSUM_LAYOUT_CHANGED": Words(
        "{problem}",
        "Nothing was written. Write the stock file, or send this file back to whoever made it.",
    ),
    "CHECKSUM_WRONG": Words(
        "{problem}",
        "Nothing was written. Write the stock file, or send this file back to whoever made it.",
    ),
}

PHRASES: dict[str, str] = {
    "definition.problem": "{file}: {technical_text}",
    "advice.did_you_mean": "Did you mean {definition}?",
    "checksum.none_found": "no checksum of this family found",
    "checksum.still_fails": "the image still fails after its checksums were stored",
    "checksum.chasing": "its checksums chase each other beyond {rounds} rounds",
    "checksum.adjust_outside": "{block}: its adjust dword lies outside what it covers",
    "checksum.ambiguous": "the image does not tell which reading of its table holds",
}
