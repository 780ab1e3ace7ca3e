"""jobs, originals, report and export: what the box knows already."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from appliance.cli.answer import Answer
from appliance.cli.choosing import any_job, choose, has_original, in_danger
from appliance.cli.client import EngineClient
from appliance.cli.options import Verbs, add_job, add_verb
from appliance.cli.problems import FileProblemError
from appliance.cli.reporting import report_lines
from appliance.cli.screen import Screen
from appliance.cli.streaming import Streamed, number_of
from appliance.cli.verbs.session import IDENTIFY_FIRST, READ_FIRST, client_of, job_of
from appliance.cli.words import RESTING, error_lines, size
from appliance.contract.errors import failure_of
from appliance.contract.events_told import OperationChanged
from appliance.contract.report import Report
from appliance.contract.told import JobTold, OperationStanding, OriginalTold

_FORMATS = ("bin", "ihex", "srec")
_ORIGINAL_COLUMNS = ("file", "definition", "hw", "sw", "boot")
_HEAD = ("job", "state", "opened", "definition", "VIN")


def add(verbs: Verbs) -> None:
    """Declare the verbs."""
    parser = add_verb(verbs, "jobs", jobs, "list the jobs of this box, newest first")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="follow what the box is doing until Ctrl-C (--json: one line per event)",
    )
    add_verb(
        verbs,
        "originals",
        originals,
        "list the sealed originals of this box",
        "They outlive a lost journal: `pitbox recover --definition ID --file FILE_ID` puts one back.",
    )
    parser = add_verb(verbs, "report", report, "tell a job's whole story")
    add_job(parser, "the newest")
    parser = add_verb(
        verbs,
        "export",
        export,
        "write a job's original to a plain file (master role only)",
        "A slave-role box keeps every file sealed and refuses.",
    )
    add_job(parser, "the newest that holds an original")
    parser.add_argument("--format", choices=_FORMATS, default="bin", help="default: bin")
    parser.add_argument("--memory", metavar="NAME", help="which one, of an ECU that has several")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="a new file")


def jobs(options: argparse.Namespace, screen: Screen) -> Answer:
    """List, or follow."""
    client = client_of(options)
    if options.watch:
        return _watch(client, screen, as_json=options.json)
    found = client.get("/v1/jobs", list[JobTold])
    return Answer(found, list(job_lines(found, screen.columns)))


def job_lines(found: list[JobTold], columns: int = 80) -> Iterator[str]:
    """A line per job under a head, those in danger marked."""
    if not found:
        yield "No jobs yet. Next: `pitbox identify`."
        return
    rows = [_cells(job) for job in found]
    marks = [" ", *("⚠" if in_danger(job) else " " for job in found)]
    yield from _table([_HEAD, *rows], marks, columns)
    yield f"Next: {_next_of(found[0])}"


def _table(rows: Sequence[Sequence[str]], marks: Sequence[str], columns: int) -> Iterator[str]:
    """Columns under their heads; where the terminal is too narrow, two of them a line and no heads."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if sum(widths) + 2 * len(widths) < columns:
        for mark, row in zip(marks, rows, strict=True):
            told = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
            yield f"{mark} {told}".rstrip()
        return
    for mark, row in zip(marks[1:], rows[1:], strict=True):
        for at in range(0, len(row), 2):
            yield f"{mark if not at else '   '} {'  '.join(row[at : at + 2])}"


def _cells(job: JobTold) -> tuple[str, ...]:
    opened = datetime.datetime.fromtimestamp(job["created_at"]).astimezone()
    words = [job["definition"] or "-", job["vin"] or "-"]
    return (job["id"], job["state"].replace("_", " "), opened.strftime("%Y-%m-%d %H:%M"), *words)


def _next_of(job: JobTold) -> str:
    """What is usual for a job that stands so."""
    if in_danger(job) and job["state"] not in RESTING:
        return "`pitbox jobs --watch`"
    if in_danger(job):
        return f"`pitbox recover --job {job['id']}`"
    if not job["original"]:
        return "`pitbox read`" if job["definition"] else "`pitbox identify`"
    return "`pitbox write FILE`, `pitbox restore` or `pitbox report`"


def _watch(client: EngineClient, screen: Screen, *, as_json: bool) -> Answer:
    """Until Ctrl-C, or until the engine ends. Raises EngineUnreachableError."""
    watched, after = _Watched(screen), -1
    try:
        while True:
            for event in client.events(None if after < 0 else after):
                after = number_of(event, after)
                if as_json:
                    screen.line_of_json(event["line"] if event["kind"] == "unreadable" else event)
                else:
                    watched.show(event)
    except KeyboardInterrupt:
        return Answer(None)


class _Watched:
    """What the box does: progress and silence count only while it works."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._busy = False

    def show(self, event: Streamed) -> None:
        if event["kind"] == "snapshot":
            self._operation(event["operation"])
            if self._busy:
                for latest in event["latest"].values():
                    self._screen.event(latest)
        elif event["kind"] == "operation":
            self._operation(event)
        elif event["kind"] == "state":
            self._screen.note(f"Job {event['job_id']} is {event['state'].replace('_', ' ')}")
        elif event["kind"] == "proposal":
            self._screen.note(f"Proposal {event['id']} ({event['verb']}): {event['what'].replace('_', ' ')}")
        elif self._busy or event["kind"] != "heartbeat":
            self._screen.event(event)

    def _operation(self, operation: OperationStanding | OperationChanged | None) -> None:
        self._busy = operation is not None and operation["state"] == "running"
        _show_operation(operation, self._screen)


def _show_operation(operation: OperationStanding | OperationChanged | None, screen: Screen) -> None:
    if operation is None:
        screen.note("The box is idle.")
        return
    screen.note(f"{operation['verb']}: {operation['state']}")
    if operation["error"]:
        screen.tell(error_lines(failure_of(operation["error"])))


def originals(options: argparse.Namespace, screen: Screen) -> Answer:
    """Sealed originals, with or without a job."""
    found = client_of(options).get("/v1/originals", list[OriginalTold])
    return Answer(found, list(original_lines(found, screen.columns)))


def original_lines(found: list[OriginalTold], columns: int = 80) -> Iterator[str]:
    """A line per sealed original under a head."""
    if not found:
        yield "No originals yet. Next: `pitbox identify`, then `pitbox read`."
        return
    rows = [_ORIGINAL_COLUMNS, *map(_original_cells, found)]
    yield from _table(rows, [" "] * len(rows), columns)
    yield from (
        f"  {one['file'][:8]}… was read after a tune; its ECU's original is {one['earlier']}"
        for one in found
        if one.get("earlier")
    )
    yield "Next: `pitbox restore`, or `pitbox recover --definition ID --file FILE` if the job is lost."


def _original_cells(one: OriginalTold) -> tuple[str, ...]:
    told = (one["file"], one["definition"], one["hw"], one["sw"], one["boot"])
    return tuple(cell or "-" for cell in told)


def report(options: argparse.Namespace, screen: Screen) -> Answer:
    """A job's report."""
    client = client_of(options)
    job = choose(client, screen, options.job, any_job, IDENTIFY_FIRST)
    found = client.get(f"/v1/jobs/{job['id']}/report", Report)
    return Answer(found, [*report_lines(found), f"Next: {_next_of(job)}"])


def export(options: argparse.Namespace, screen: Screen) -> Answer:
    """An original as a plain file, readable by its owner only."""
    client = client_of(options)
    job = job_of(client, options, screen, has_original, READ_FIRST)
    known = client.get("/v1/jobs", list[JobTold])
    original = next((one["original"] for one in known if one["id"] == job), None)
    memory = f"&memory={quote(options.memory, safe='')}" if options.memory else ""
    data = client.download(f"/v1/jobs/{job}/export?format={options.format}{memory}")
    _save(options.output, data)
    digest = hashlib.sha256(data).hexdigest()
    document = {"job": job, "original": original, "file": str(options.output), "bytes": len(data)}
    lines = [
        f"✔ {options.output}: {size(len(data))}, sha256 {digest}",
        f"Next: have a copy of it tuned, then `pitbox write COPY --made-from {original}`.",
    ]
    return Answer({**document, "sha256": digest}, lines)


def _save(path: Path, data: bytes) -> None:
    """Raises FileProblemError; never overwrites, and leaves nothing half written."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise FileProblemError("FILE_NOT_MADE", f"{path}: {error.strerror}", "Choose a new name.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError as error:
        path.unlink()
        raise FileProblemError("FILE_NOT_MADE", f"{path}: {error.strerror}", "Make room.") from error
