"""set-aside: another car first, while the write of this one is not over."""

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
        "set-aside",
        set_aside,
        "let another car be served before an interrupted write is finished",
        "The write stays open to `pitbox recover --job ID` at any time, its warning stays, and nothing else\n"
        "is written to its ECU until then.",
    )
    parser.add_argument("--job", metavar="ID", required=True, help="the job's id or its beginning")
    parser.add_argument("--by", metavar="NAME", required=True, help="who says so; it is recorded")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why it has to wait; it is recorded")
    add_yes(parser)


def set_aside(options: argparse.Namespace, screen: Screen) -> Answer:
    """Have the word recorded. Raises PitboxError."""
    client = client_of(options)
    job = choose(client, screen, options.job, any_job, IDENTIFY_FIRST)
    about = [
        "About to set an unfinished write aside, so that another car can be served:",
        f"  Job:    {described(job)}",
        f"  By:     {options.by}",
        f"  Reason: {options.reason}",
        "  Keep that ECU powered and its engine off. One without a bootloader of its own is lost to this",
        "  plug once it is unplugged or switched off: then only the bench finishes it.",
    ]
    screen.confirm(about, "Set it aside?", yes=options.yes)
    result = perform(
        client,
        screen,
        "set_aside",
        PersonsWord,
        {"job": job["id"], "by": options.by, "reason": options.reason},
    )
    told = f"✔ Set aside by {result['by']}. The warning of job {job['id']} stays, and so does its way back."
    return Answer(result, [told, f"Next: `pitbox recover --job {job['id']}` finishes it at any time."])
