"""What the verbs share that take a named person's word on a job: options, confirmation, and the asking."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from appliance.cli.choosing import any_job, choose, described
from appliance.cli.operation_client import perform
from appliance.cli.options import add_yes
from appliance.cli.screen import Screen
from appliance.cli.verbs.session import IDENTIFY_FIRST, client_of
from appliance.contract.results import PersonsWord

Warnings = Callable[[str], Sequence[str]]
"""What a person should know first, of the job with that id."""


def add_word(parser: argparse.ArgumentParser, why: str) -> None:
    """Declare whose word it is, on which job, and why."""
    parser.add_argument("--job", metavar="ID", required=True, help="the job's id or its beginning")
    parser.add_argument("--by", metavar="NAME", required=True, help="who says so; it is recorded")
    parser.add_argument("--reason", metavar="TEXT", required=True, help=f"{why}; it is recorded")
    add_yes(parser)


def give_word(
    options: argparse.Namespace, screen: Screen, kind: str, about: str, warnings: Warnings, question: str
) -> PersonsWord:
    """Have it confirmed and recorded by the operation `kind`. Raises PitboxError."""
    client = client_of(options)
    job = choose(client, screen, options.job, any_job, IDENTIFY_FIRST)
    shown = [
        about,
        f"  Job:    {described(job)}",
        f"  By:     {options.by}",
        f"  Reason: {options.reason}",
        *(f"  {line}" for line in warnings(job["id"])),
    ]
    screen.confirm(shown, question, yes=options.yes)
    said = {"job": job["id"], "by": options.by, "reason": options.reason}
    return perform(client, screen, kind, PersonsWord, said)
