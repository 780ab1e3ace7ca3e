"""write, restore and recover."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.cli.answer import Answer
from appliance.cli.choosing import in_danger, writable
from appliance.cli.following import perform
from appliance.cli.options import Verbs, add_job, add_verb
from appliance.cli.problems import FileProblemError
from appliance.cli.screen import Screen
from appliance.cli.verbs.reading import names
from appliance.cli.verbs.session import READ_FIRST, client_of, job_of
from appliance.cli.words import blocks_line, codes, outcome_line, proof_line, share

MAX_FILE_BYTES = 64 * 1024 * 1024
"""What the engine takes at most."""
_USES = ("bench_research", "motorsport_offroad", "road_compliant")
_EVERYTHING_PROVEN = (
    "Every gate is shown before the first erase, and one that does not pass stops the job.\n"
    "Only blocks that differ are written; all are proven afterwards.\n"
    "A power cut is no loss: `pitbox recover` finishes the write."
)


def add(verbs: Verbs) -> None:
    """Declare the verbs."""
    parser = add_verb(verbs, "write", write, "write a tuned file to the ECU", _EVERYTHING_PROVEN)
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="*.pitbox; a master-role box also takes plain files",
    )
    add_job(parser, "the newest that holds an original")
    plain = parser.add_argument_group("for a plain file (.bin, Intel HEX, S-record) on a master-role box")
    plain.add_argument("--use", choices=_USES, default=_USES[0], help="what the tuned file is for")
    plain.add_argument(
        "--regions",
        type=names,
        default=[],
        metavar="A,B",
        help="where bytes may differ (default: cal.)",
    )
    plain.add_argument(
        "--made-from",
        type=str.lower,
        metavar="ID",
        help="the read it was made from: its id or SHA-256, as `pitbox export` names them",
    )
    plain.add_argument(
        "--correct-checksums", action="store_true", help="put checksums right that verified on the original"
    )
    parser = add_verb(
        verbs,
        "restore",
        restore,
        "put the ECU's own original back",
        "Needs no licence and no internet.",
    )
    add_job(parser, "the newest that holds an original")
    parser = add_verb(
        verbs,
        "recover",
        recover,
        "finish a write that was interrupted",
        "Ignition on, supply steady, then this. It may be repeated as often as it takes.",
    )
    add_job(parser, "the one whose ECU is half written")
    parser.add_argument(
        "--original", action="store_true", help="put the original back instead of finishing the tuned file"
    )
    parser.add_argument(
        "--more-erases",
        action="store_true",
        help="after ERASE_BOUND: let blocks be erased as often again as the definition allows",
    )
    parser.add_argument(
        "--car",
        metavar="VIN",
        help="which car this is, as read off it, where the ECU itself cannot say it any more",
    )
    lost = parser.add_argument_group("when the journal is lost or knows nothing of this ECU")
    lost.add_argument(
        "--definition",
        metavar="ID",
        help="put a sealed original of this definition back, see `pitbox originals`",
    )
    lost.add_argument("--file", metavar="FILE_ID", help="which original, where there are several")


def write(options: argparse.Namespace, screen: Screen) -> Answer:
    """Write a tuned file."""
    data = file_to_write(options.file)
    client = client_of(options)
    job = job_of(client, options, screen, writable, READ_FIRST)
    result = perform(
        client,
        screen,
        "write",
        job=job,
        upload=client.upload(data),
        use=options.use,
        changed_regions=options.regions,
        correct_checksums=options.correct_checksums,
        made_from=options.made_from,
    )
    return _answer(result)


def restore(options: argparse.Namespace, screen: Screen) -> Answer:
    """Put the original back."""
    client = client_of(options)
    job = job_of(client, options, screen, writable, READ_FIRST)
    return _answer(perform(client, screen, "restore", job=job))


def recover(options: argparse.Namespace, screen: Screen) -> Answer:
    """Finish an interrupted write, or put an original back without a journal."""
    client = client_of(options)
    asked = {
        "original": options.original,
        "more_erases": options.more_erases,
        "file": options.file,
        "car": options.car,
    }
    if options.definition is not None:
        return _answer(
            perform(client, screen, "recover", job=options.job, definition=options.definition, **asked)
        )
    missing = "No write was interrupted. To put an original back, use `pitbox restore`."
    job = job_of(client, options, screen, in_danger, missing)
    return _answer(perform(client, screen, "recover", job=job, **asked))


def file_to_write(path: Path) -> bytes:
    """A file's bytes. Raises FileProblemError for one that cannot be an ECU image, before it is read."""

    try:
        found = path.stat()
        if found.st_size > MAX_FILE_BYTES:
            what = (
                f"{path} has {found.st_size >> 20} MiB; an ECU image has at most {MAX_FILE_BYTES >> 20} MiB"
            )
            raise FileProblemError("FILE_TOO_LARGE", what, "Choose the right file.")
        data = path.read_bytes()
    except OSError as error:
        raise FileProblemError(
            "FILE_UNREADABLE", f"{path}: {error.strerror}", "Check name and rights."
        ) from error
    if not data:
        raise FileProblemError("FILE_EMPTY", f"{path} is empty", "Have the file sent again.")
    return data


def _answer(result: dict[str, Any]) -> Answer:
    return Answer(result, list(result_lines(result)))


def result_lines(result: dict[str, Any]) -> Iterator[str]:
    """What was written, how it was proven, and the fault codes after."""
    yield f"✔ {outcome_line(result['result'])}"
    yield f"  {blocks_line(result['blocks'])}"
    yield f"  {proof_line(result['verify'])}"
    after = result.get("identity_after")
    if after:
        yield f"  {_known_by(after)}"
    if result["write_efficiency"]:
        yield f"  Programmed at {share(result['write_efficiency'])} of what the wire can carry"
    yield f"  Fault codes now: {codes(result['dtcs_after'])}"
    yield f"Job {result['job']}. The whole story: `pitbox report`."


_KNOWN_BY = {
    "serial": "the job's own ECU, by its serial number",
    "vin": "the job's own ECU, by its VIN",
    "person": "of the job's kind; a person named the car",
    "kind": "of the job's kind; it tells neither serial number nor VIN",
}


def _known_by(after: dict[str, Any]) -> str:
    """Which ECU answered after the write."""
    return f"Asked again: HW {after['hw']}, SW {after['sw']}, {_KNOWN_BY[after['known_by']]}"
