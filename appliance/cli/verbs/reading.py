"""identify and read."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from appliance.cli.answer import Answer
from appliance.cli.choosing import readable
from appliance.cli.operation_client import perform
from appliance.cli.options import Verbs, add_job, add_verb
from appliance.cli.problems import UnusedOptionError
from appliance.cli.screen import Screen
from appliance.cli.verbs.session import IDENTIFY_FIRST, client_of, job_of
from appliance.cli.words import clock, earlier_line, identity_lines, share, size
from appliance.contract.results import Identified, ReadDone


def add(verbs: Verbs) -> None:
    """Declare the verbs."""
    parser = add_verb(
        verbs,
        "identify",
        identify,
        "find the ECU, recognise it and open a job",
        "Plug in, ignition on, engine off. Nothing is written.",
    )
    parser.add_argument("--definition", metavar="ID", help="look for this ECU only")
    parser.add_argument(
        "--access", metavar="NAME", help="over this one of its accesses alone, such as `bench`"
    )
    parser = add_verb(
        verbs,
        "read",
        read,
        "read the ECU twice, compare and seal",
        "A read that a power cut interrupted goes on where it stopped. Nothing is written.",
    )
    add_job(parser, "the newest whose ECU can be read")
    parser.add_argument(
        "--regions",
        type=names,
        default=[],
        metavar="A,B",
        help="only these; a partial read is no original",
    )


def names(text: str) -> list[str]:
    """A list of names with commas between them. Raises ArgumentTypeError where there is none."""
    found = [name for name in (part.strip() for part in text.split(",")) if name]
    if not found:
        raise argparse.ArgumentTypeError("no region is named")
    return found


def identify(options: argparse.Namespace, screen: Screen) -> Answer:
    """Find the ECU."""
    if options.access is not None and options.definition is None:
        raise UnusedOptionError("--access", "it is one of --definition, which is missing")
    asked = {"definition": options.definition, "access": options.access}
    result = perform(client_of(options), screen, "identify", Identified, asked)
    return Answer(result, list(identify_lines(result)))


def identify_lines(result: Identified) -> Iterator[str]:
    """What was found and what is recommended."""
    yield f"✔ {result['name']}  [{result['definition']}, evidence: {result['evidence']}]"
    yield from identity_lines(result["identity"])
    method = result["method"]
    yield f"  Method: {method['recommended']}. {method['reason']}"
    protection = result["protection"]
    if protection["kind"] != "none":
        yield f"  Protection: {protection['kind'].replace('_', ' ')}. {protection['advice']}"
    yield from (
        f"  Before reading: {ritual['text']}"
        for ritual in result["rituals"]
        if ritual["when"] == "before_read"
    )
    yield from (f"  Also on the bus: {other}" for other in result["others"])
    yield f"Job {result['job']} is open. Next: `pitbox read`."


def read(options: argparse.Namespace, screen: Screen) -> Answer:
    """Read twice and seal."""
    client = client_of(options)
    job = job_of(client, options, screen, readable, IDENTIFY_FIRST)
    result = perform(client, screen, "read", ReadDone, {"job": job, "regions": options.regions})
    return Answer(result, list(read_lines(result)))


def read_lines(result: ReadDone) -> Iterator[str]:
    """Hashes of both passes and how they agree."""
    for number, one in enumerate(result["reads"], 1):
        told = f"{size(one['bytes'])} in {clock(one['seconds'])}, sha256 {one['sha256'][:16]}…"
        yield f"  Read {number}: {told}"
    voted = sum(one["voted_blocks"] for one in result["reads"])
    agreed = "identical" if not voted else f"{voted} pieces differed and were settled by a third read"
    yield f"✔ Both reads: {agreed}. {share(result['read_efficiency'])} of what the wire can carry."
    kind = "Sealed as this job's original" if result["full"] else "Sealed as a partial read (not an original)"
    yield f"  {kind}: {len(result['sealed'])} segments, file {result['file']}"
    if earlier := result.get("earlier"):
        yield f"  {earlier_line(earlier)}"
    if result["full"]:
        yield "Next: `pitbox export -o original.bin` (master role) for the tuner, then `pitbox write FILE`."
    else:
        yield "Next: `pitbox read` without --regions reads all of it; only that is an original."
