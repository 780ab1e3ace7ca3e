"""`pitbox`: understands what was typed and ends with a truthful status."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from appliance.cli.client import ask_safety
from appliance.cli.exits import MEANINGS, Exit, exit_of
from appliance.cli.options import add_common, default_socket
from appliance.cli.problems import LocalError
from appliance.cli.screen import Screen
from appliance.cli.verbs import checking, demonstrating, jobs, programs, reading, writing
from appliance.contract.errors import PitboxError

_ABOUT = """\
Read, write and recover engine and gearbox controllers, safely.

The usual way of a job: pitbox identify, read, write FILE, verify, report.
After a power cut: pitbox recover. Back to the original: pitbox restore.
To see it all on a simulated car: pitbox demo."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in programs.PROGRAMS:
        programs.become(given[0], given[1:])
    parser = make_parser()
    options = parser.parse_args(given)
    if options.run is None:
        programs.misplaced(parser, options.program)
    return _run(options)


def make_parser() -> argparse.ArgumentParser:
    """Everything `pitbox` understands."""
    parser = argparse.ArgumentParser(
        prog="pitbox",
        description=_ABOUT,
        epilog="exit status:\n" + "\n".join(f"  {status:>3}  {text}" for status, text in MEANINGS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser)
    parser.set_defaults(socket=default_socket(), json=False, quiet=False, simulated=False)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in (reading, writing, checking, jobs, programs, demonstrating):
        group.add(verbs)
    return parser


def _run(options: argparse.Namespace) -> int:
    screen = Screen(machine=options.json, quiet=options.quiet)
    try:
        answer = options.run(options, screen)
        screen.answer(answer)
    except PitboxError as error:
        if isinstance(error, LocalError):
            ask_safety(error, None if options.simulated else options.socket)
        screen.fail(error)
        return exit_of(error)
    except KeyboardInterrupt:
        return Exit.LEFT
    except BrokenPipeError:
        return _reader_gone()
    return int(answer.exit)


def _reader_gone() -> int:
    """Whoever read our output has enough; nothing more may be written to it, not even at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
