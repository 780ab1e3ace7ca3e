"""set-aside: another car first, while the write of this one is not over."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from appliance.cli.answer import Answer
from appliance.cli.options import Verbs, add_verb
from appliance.cli.persons_word import add_word, give_word
from appliance.cli.screen import Screen


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = add_verb(
        verbs,
        "set-aside",
        set_aside,
        "let another car be served before an interrupted write is finished",
        "The write stays open to `pitbox recover --job ID` at any time, its warning stays, and nothing else\n"
        "is written to its ECU until then.",
    )
    add_word(parser, "why it has to wait")


def set_aside(options: argparse.Namespace, screen: Screen) -> Answer:
    """Have the word recorded. Raises PitboxError."""
    about = "About to set an unfinished write aside, so that another car can be served:"
    result = give_word(options, screen, "set_aside", about, _warnings, "Set it aside?")
    job_id = result["job"]
    told = f"✔ Set aside by {result['by']}. The warning of job {job_id} stays, and so does its way back."
    return Answer(result, [told, f"Next: `pitbox recover --job {job_id}` finishes it at any time."])


def _warnings(job_id: str) -> Sequence[str]:
    del job_id
    return (
        "Keep that ECU powered and its engine off. One without a bootloader of its own is lost to this",
        "plug once it is unplugged or switched off: then only the bench finishes it.",
    )
