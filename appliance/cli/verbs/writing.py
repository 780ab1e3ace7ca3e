"""write, restore and recover."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from appliance.cli.answer import Answer
from appliance.cli.choosing import in_danger, writable
from appliance.cli.client import EngineClient
from appliance.cli.confirming import confirm, summary_lines
from appliance.cli.operation_client import perform, said
from appliance.cli.options import Verbs, add_job, add_verb, add_yes
from appliance.cli.problems import FileProblemError, UnusedOptionError
from appliance.cli.proposal_words import proposal_lines
from appliance.cli.screen import Screen
from appliance.cli.verbs.reading import names
from appliance.cli.verbs.session import READ_FIRST, client_of, job_of
from appliance.cli.words import blocks_line, codes, earlier_line, outcome_line, proof_line, share
from appliance.contract.preview import Preview
from appliance.contract.proposals_told import ProposalTold
from appliance.contract.results import IdentityAfter, Written
from appliance.contract.uses import Use

MAX_FILE_BYTES = 64 * 1024 * 1024
"""What the engine takes at most."""
_USES = sorted(Use)
_NOTHING_OPEN = (
    "No write was interrupted, as far as this box knows. `pitbox restore` puts an original back; where "
    "the job is lost, `pitbox originals` lists what there is to put back."
)
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
    parser.add_argument(
        "--engine-off",
        action="store_true",
        help="your word that the engine is off, where the ECU does not tell; it is recorded",
    )
    _add_car(parser)
    plain = parser.add_argument_group("for a plain file (.bin, Intel HEX, S-record) on a master-role box")
    plain.add_argument("--use", choices=_USES, help=f"what the tuned file is for (default: {_USES[0]})")
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
    plain.add_argument("--memory", metavar="NAME", help="the one memory that the file is of")
    plain.add_argument(
        "--correct-checksums", action="store_true", help="put checksums right that verified on the original"
    )
    _add_proposing(parser).add_argument("--by", metavar="NAME", help="who proposes it; it is recorded")
    add_yes(parser)
    parser = add_verb(
        verbs,
        "restore",
        restore,
        "put the ECU's own original back",
        "Needs no licence and no internet, and no application that still runs.",
    )
    add_job(parser, "the newest that holds an original")
    parser.add_argument(
        "--access",
        metavar="NAME",
        help="over this one of the ECU's accesses, instead of the job's; it puts back what it reaches",
    )
    _add_car(parser)
    _add_waivers(parser)
    _add_proposing(parser)
    add_yes(parser)
    parser = add_verb(
        verbs,
        "recover",
        recover,
        "finish a write that was interrupted",
        "Ignition on, supply steady, then this. It may be repeated as often as it takes.",
    )
    add_job(parser, "the one whose ECU is half written")
    add_yes(parser)
    parser.add_argument(
        "--original", action="store_true", help="put the original back instead of finishing the tuned file"
    )
    parser.add_argument(
        "--access",
        metavar="NAME",
        help="over this one of the ECU's accesses, such as `bench`, instead of the one it was begun over",
    )
    parser.add_argument(
        "--more-erases",
        action="store_true",
        help="after ERASE_BOUND: let blocks be erased as often again as the definition allows",
    )
    parser.add_argument(
        "--from",
        dest="copy",
        type=Path,
        metavar="FILE",
        help="a copy of the original that was exported before, where this box has lost its own",
    )
    _add_car(parser)
    _add_proposing(parser).add_argument("--by", metavar="NAME", help="who proposes it; it is recorded")
    lost = parser.add_argument_group("when the journal is lost or knows nothing of this ECU")
    lost.add_argument(
        "--definition",
        metavar="ID",
        help="put a sealed original of this definition back, see `pitbox originals`",
    )
    lost.add_argument("--file", metavar="FILE_ID", help="which original, where there are several")


def _add_car(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--car",
        metavar="VIN",
        help="which car this is, as read off it, where the ECU itself cannot say it; it is recorded",
    )


def _add_proposing(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    later = parser.add_argument_group("to have others consent first")
    later.add_argument(
        "--propose", action="store_true", help="start nothing: it waits for consents, see `pitbox proposals`"
    )
    later.add_argument(
        "--needs",
        type=names,
        metavar="A,B",
        help="which: operator, web, other, kind:NAME (default: one of another user or an operator)",
    )
    later.add_argument("--expires", type=_minutes, metavar="MINUTES", help="how long it waits (default: 60)")
    return later


def _add_waivers(parser: argparse.ArgumentParser) -> None:
    word = parser.add_argument_group("to set a gate aside, where that gate lets anybody; it is recorded")
    word.add_argument("--waive", action="append", default=[], metavar="GATE", help="its name, as it is shown")
    word.add_argument("--by", metavar="NAME", help="who says so, or proposes it")
    word.add_argument("--reason", metavar="TEXT", help="why")


def _waivers(options: argparse.Namespace) -> dict[str, object]:
    """Raises UnusedOptionError: a waiver has a gate, a name and a reason, or it is none."""
    if not options.waive:
        by = None if options.propose else options.by
        for option, given in (("--by", by), ("--reason", options.reason)):
            if given is not None:
                raise UnusedOptionError(option, "it belongs to --waive, which is missing")
        return {}
    if options.by is None or options.reason is None:
        raise UnusedOptionError("--waive", "a waiver has a name and a reason: add --by and --reason")
    told = {"by": options.by, "reason": options.reason}
    return {"waivers": [{"gate": gate, **told} for gate in options.waive]}


def write(options: argparse.Namespace, screen: Screen) -> Answer:
    """Write a tuned file, or propose it."""
    _refuse_unproposed(options)
    data = file_to_write(options.file)
    client = client_of(options)
    job = job_of(client, options, screen, writable, READ_FIRST)
    asked = {
        "job": job,
        "upload": client.upload(data),
        "use": options.use,
        "changed_regions": options.regions,
        "correct_checksums": options.correct_checksums,
        "made_from": options.made_from,
        "memory": options.memory,
        "engine_off": options.engine_off,
        "car": options.car,
    }
    if options.propose:
        return _propose(client, screen, options, "write", asked, options.file.name)
    shown = confirm(client, screen, "write", asked, yes=options.yes, shown=options.file.name)
    return _answer(perform(client, screen, "write", Written, {**asked, "confirmed": shown}))


def _propose(
    client: EngineClient,
    screen: Screen,
    options: argparse.Namespace,
    verb: str,
    asked: dict[str, object],
    file: str | None = None,
) -> Answer:
    """Its proposer sees the same summary as whoever consents."""
    shown = perform(client, screen, "preview", Preview, {"of": verb, **asked})
    screen.tell(summary_lines(shown, file))
    operation = {"verb": verb, **said(asked), "confirmed": shown["digest"]}
    expires_s = options.expires and options.expires * 60
    more = said({"needs": options.needs, "expires_s": expires_s, "by": options.by})
    told = client.post("/v1/proposals", ProposalTold, {"operation": operation, **more})
    return Answer(told, [f"✔ Proposed as {told['id']}; nothing was started.", *proposal_lines(told)])


def _minutes(text: str) -> int:
    """At least one. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes")
    return int(text)


def _refuse_unproposed(options: argparse.Namespace) -> None:
    """Raises UnusedOptionError: whoever names consents must not have the write started at once."""
    if options.propose and options.yes:
        raise UnusedOptionError("--yes", "--propose asks nothing and starts nothing")
    own = ("needs", "expires") if getattr(options, "waive", None) else ("needs", "expires", "by")
    for name in own:
        if not options.propose and getattr(options, name) is not None:
            raise UnusedOptionError(f"--{name}", "it belongs to --propose, which is missing")


def restore(options: argparse.Namespace, screen: Screen) -> Answer:
    """Put the original back, or propose it."""
    waivers = _waivers(options)
    _refuse_unproposed(options)
    client = client_of(options)
    job = job_of(client, options, screen, writable, READ_FIRST)
    asked = {"job": job, "access": options.access, "car": options.car, **waivers}
    if options.propose:
        return _propose(client, screen, options, "restore", asked)
    shown = confirm(client, screen, "restore", asked, yes=options.yes)
    return _answer(perform(client, screen, "restore", Written, {**asked, "confirmed": shown}))


def recover(options: argparse.Namespace, screen: Screen) -> Answer:
    """Finish an interrupted write, or put an original back without a journal; or propose either."""
    _refuse_unused(options)
    _refuse_unproposed(options)
    copy = None if options.copy is None else file_to_write(options.copy)
    client = client_of(options)
    asked: dict[str, object]
    if options.definition is not None:
        asked = {"definition": options.definition, "file": options.file}
    else:
        job = job_of(client, options, screen, in_danger, _NOTHING_OPEN)
        asked = {"job": job, "original": options.original}
    asked |= {"car": options.car, "access": options.access, "more_erases": options.more_erases}
    asked["upload"] = None if copy is None else client.upload(copy)
    name = None if copy is None else f"sealed file, as in {options.copy.name}"
    if options.propose:
        return _propose(client, screen, options, "recover", asked, name)
    shown = confirm(client, screen, "recover", asked, yes=options.yes, shown=name)
    return _answer(perform(client, screen, "recover", Written, {**asked, "confirmed": shown}))


def _refuse_unused(options: argparse.Namespace) -> None:
    """Raises UnusedOptionError: a sealed file that was named must never be left out of account."""
    if options.definition is None:
        if options.file is not None:
            raise UnusedOptionError("--file", "it chooses an original for --definition, which is missing")
    elif options.job is not None:
        raise UnusedOptionError("--job", "--definition puts an original back without any job")
    elif options.original:
        raise UnusedOptionError("--original", "--definition puts an original back in any case")
    elif options.more_erases:
        raise UnusedOptionError(
            "--more-erases", "--definition begins a new write, whose erases start at none"
        )


def file_to_write(path: Path) -> bytes:
    """A file's bytes. Raises FileProblemError for one that cannot be an ECU image, before it is read.

    A pipe or a device has no end that could be waited for: only a regular file is read, and no more of it
    than an image may have.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise FileProblemError("FILE_UNREADABLE", f"{path} is no regular file", "Save it as a file.")
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            what = f"{path} has {found.st_size >> 20} MiB; an ECU image has at most {MAX_FILE_BYTES >> 20}"
            raise FileProblemError("FILE_TOO_LARGE", what, "Choose the right file.")
    except OSError as error:
        raise FileProblemError(
            "FILE_UNREADABLE", f"{path}: {error.strerror}", "Check name and rights."
        ) from error
    if not data:
        raise FileProblemError("FILE_EMPTY", f"{path} is empty", "Have the file sent again.")
    return data


def _answer(result: Written) -> Answer:
    return Answer(result, list(result_lines(result)))


def result_lines(result: Written) -> Iterator[str]:
    """What was written, how it was proven, and the fault codes after."""
    earlier = result.get("earlier")
    if earlier:
        yield "✔ What this job read is in the ECU again."
        yield f"  {earlier_line(earlier)}"
    else:
        yield f"✔ {outcome_line(result['result'], result['verify']['method'])}"
    yield f"  {blocks_line(result['blocks'])}"
    yield f"  {proof_line(result['verify'], result['verify']['unproven'])}"
    yield from (f"  Not put back, out of reach: {memory}" for memory in result.get("left_out", []))
    yield f"  {_known_by(result['identity_after'])}"
    if result["write_efficiency"]:
        yield f"  Programmed at {share(result['write_efficiency'])} of what the wire can carry"
    yield f"  Fault codes now: {codes(result['dtcs_after'])}"
    yield from (f"  Now: {ritual}" for ritual in result["rituals"])
    yield "Next: `pitbox verify` proves it again, `pitbox dtc` shows fault codes, `pitbox report` tells all."


_KNOWN_BY = {
    "serial": "the job's own ECU, by its serial number",
    "vin": "the job's own ECU, by its VIN",
    "person": "of the job's kind; a person named the car",
    "kind": "of the job's kind; it tells neither serial number nor VIN",
}


def _known_by(after: IdentityAfter) -> str:
    """Which ECU answered after the write."""
    known_by = _KNOWN_BY.get(after["known_by"], after["known_by"])
    return f"Asked again: HW {after['hw']}, SW {after['sw']}, {known_by}"
