"""settle: a person's word for an ECU that was repaired or replaced elsewhere."""

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
        "settle",
        settle,
        "end the warning of a job that needs the bench, on your word",
        "For an ECU that was repaired or replaced elsewhere. One that can be connected is proven instead:\n"
        "`pitbox recover --job ID --original`. A write that can still be recovered is never settled.",
    )
    add_word(parser, "what became of the ECU")


def settle(options: argparse.Namespace, screen: Screen) -> Answer:
    """Have the word recorded. Raises PitboxError."""
    about = "About to take it on your word that this ECU is whole again, or out of use:"
    result = give_word(options, screen, "settle", about, _warnings, "Is that so?")
    job_id = result["job"]
    told = f"✔ Settled on the word of {result['by']}; nothing was proven. The warning of job {job_id} ends."
    return Answer(result, [told, f"Next: `pitbox report --job {job_id}` keeps who said so, and why."])


def _warnings(job_id: str) -> Sequence[str]:
    return (f"If it can be connected, `pitbox recover --job {job_id} --original` proves it instead.",)
