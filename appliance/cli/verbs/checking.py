"""verify and dtc: nothing is written to memory."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from appliance.cli.answer import Answer
from appliance.cli.choosing import has_original, identified
from appliance.cli.operation_client import perform
from appliance.cli.options import Verbs, add_job, add_verb
from appliance.cli.problems import UnusedOptionError
from appliance.cli.screen import Screen
from appliance.cli.verbs.session import IDENTIFY_FIRST, READ_FIRST, client_of, job_of
from appliance.cli.words import proof_line
from appliance.contract.results import FaultCode, FaultCodes, Verified

_NEXT = "Next: `pitbox dtc` shows the fault codes, `pitbox report` tells the whole job."


def add(verbs: Verbs) -> None:
    """Declare the verbs."""
    parser = add_verb(
        verbs,
        "verify",
        verify,
        "prove every block of the ECU's memory",
        "Against what this job last wrote, else against its original, or against --file. Nothing is written.",
    )
    add_job(parser, "the newest that holds an original")
    parser.add_argument("--file", metavar="ID", help="another sealed file of this box")
    parser = add_verb(verbs, "dtc", dtc, "show the ECU's fault codes", "With --clear, after clearing.")
    add_job(parser, "the newest whose ECU is known")
    parser.add_argument("--clear", action="store_true", help="clear them, as far as the ECU lets it")
    parser.add_argument(
        "--car", metavar="VIN", help="with --clear: which car this is, where the ECU itself cannot say it"
    )


def verify(options: argparse.Namespace, screen: Screen) -> Answer:
    """Compare memory with what it should hold."""
    client = client_of(options)
    job = job_of(client, options, screen, has_original, READ_FIRST)
    result = perform(client, screen, "verify", Verified, {"job": job, "file": options.file})
    return Answer(result, [f"✔ The ECU holds what it should: {proof_line(result)}", _NEXT])


def dtc(options: argparse.Namespace, screen: Screen) -> Answer:
    """Fault codes. Raises PitboxError."""
    if options.car is not None and not options.clear:
        raise UnusedOptionError("--car", "it confirms the car for --clear, which is missing")
    client = client_of(options)
    job = job_of(client, options, screen, identified, IDENTIFY_FIRST)
    asked = {"job": job, "clear": options.clear, "car": options.car}
    result = perform(client, screen, "dtc", FaultCodes, asked)
    return Answer(result, list(dtc_lines(result)))


def dtc_lines(result: FaultCodes) -> Iterator[str]:
    """One fault code per line; after clearing, what came back."""
    if result["cleared"] is False:
        yield "⚠ The ECU did not clear its fault codes."
    if not result["dtcs"]:
        yield "✔ No fault codes stored."
    for one in result["dtcs"]:
        new = "  NEW" if one["code"] in result["new"] else ""
        yield f"  {one['code']}{_status(one)}{new}"
    gone = [code for code in result["before"] if code not in {one["code"] for one in result["dtcs"]}]
    if gone:
        yield f"  Cleared: {', '.join(gone)}"
    if result["dtcs"] and result["cleared"] is None:
        yield "Next: `pitbox dtc --clear` clears them, `pitbox report` tells the whole job."
    else:
        yield "Next: `pitbox report` tells the whole job."


def _status(one: FaultCode) -> str:
    """Not every protocol tells one."""
    return "" if one["status"] is None else f"  status 0x{one['status']:02X}"
