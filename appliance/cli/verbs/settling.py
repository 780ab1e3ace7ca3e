"""settle: a person's word for an ECU that was repaired or replaced elsewhere."""

from __future__ import annotations

import argparse

from appliance.cli.answer import Answer
from appliance.cli.choosing import any_job, choose, described
from appliance.cli.operation_client import perform
from appliance.cli.options import Verbs, add_verb, add_yes
from appliance.cli.screen import Screen
from appliance.cli.verbs.session import IDENTIFY_FIRST, client_of
from appliance.contract.results import PersonsWord


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
    parser.add_argument("--job", metavar="ID", required=True, help="the job's id or its beginning")
    parser.add_argument("--by", metavar="NAME", required=True, help="who says so; it is recorded")
    parser.add_argument(
        "--reason", metavar="TEXT", required=True, help="what became of the ECU; it is recorded"
    )
    add_yes(parser)


def settle(options: argparse.Namespace, screen: Screen) -> Answer:
    """Have the word recorded. Raises PitboxError."""
    client = client_of(options)
    job = choose(client, screen, options.job, any_job, IDENTIFY_FIRST)
    about = [
        "About to take it on your word that this ECU is whole again, or out of use:",
        f"  Job:    {described(job)}",
        f"  By:     {options.by}",
        f"  Reason: {options.reason}",
        f"  If it can be connected, `pitbox recover --job {job['id']} --original` proves it instead.",
    ]
    screen.confirm(about, "Is that so?", yes=options.yes)
    result = perform(
        client,
        screen,
        "settle",
        PersonsWord,
        {"job": job["id"], "by": options.by, "reason": options.reason},
    )
    told = (
        f"✔ Settled on the word of {result['by']}; nothing was proven. The warning of job {job['id']} ends."
    )
    return Answer(result, [told, f"Next: `pitbox report --job {job['id']}` keeps who said so, and why."])
