"""`pitbox`: understands what was typed and ends with a truthful status."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from appliance.cli.client import ask_safety
from appliance.cli.exits import MEANINGS, Exit, exit_of
from appliance.cli.options import add_common
from appliance.cli.problems import AnswerUnreadableError, LocalError, OutputError
from appliance.cli.screen import Screen
from appliance.cli.verbs import (
    answering,
    checking,
    demonstrating,
    jobs,
    owner_secrets,
    programs,
    proposing,
    reading,
    setting_aside,
    settling,
    writing,
)
from appliance.cli.verbs.session import client_of
from appliance.cli.words import banner_lines
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
    parser = _Parser(
        prog="pitbox",
        description=_ABOUT,
        epilog="exit status:\n" + "\n".join(f"  {status:>3}  {text}" for status, text in MEANINGS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser)
    parser.set_defaults(socket=None, json=False, quiet=False, simulated=False)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in (
        reading,
        writing,
        proposing,
        checking,
        answering,
        jobs,
        owner_secrets,
        setting_aside,
        settling,
        programs,
        demonstrating,
    ):
        group.add(verbs)
    return parser


class _Parser(argparse.ArgumentParser):
    """A verb refuses what it does not know with its own usage, not with that of `pitbox`."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Nothing is left over, and nothing is empty.

        What a script had no value for would be taken for what was not given: another proposal is consented
        to then, or another job is recovered, than was meant.
        """
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        if any(_is_empty(one) for one in args or ()):
            self.error("an argument is empty: is a variable of your script not set?")
        return options, unknown


def _is_empty(argument: str) -> bool:
    return not argument.strip() or (argument.startswith("--") and argument.endswith("="))


def _run(options: argparse.Namespace) -> int:
    screen = Screen(machine=options.json, quiet=options.quiet)
    try:
        _warn(options, screen)
        answer = options.run(options, screen)
        screen.answer(answer)
        status = int(answer.exit)
    except PitboxError as error:
        status = _failed(error, options, screen)
    except KeyboardInterrupt:
        status = Exit.LEFT
    if screen.lost is not None:
        return _not_shown(screen.lost, status, options, screen)
    return status


def _warn(options: argparse.Namespace, screen: Screen) -> None:
    """Above whatever was asked: which ECUs are half written. Who cannot be asked is told of by the verb."""
    if options.simulated:
        return
    try:
        for line in banner_lines(client_of(options).safety()["open_writes"]):
            screen.alarm(line)
    except AnswerUnreadableError as error:
        screen.alarm(f"⚠ Whether a write is open cannot be told: {error.what}. {error.do_now}")
    except PitboxError:
        return


def _failed(error: PitboxError, options: argparse.Namespace, screen: Screen) -> int:
    if isinstance(error, LocalError):
        ask_safety(error, None if options.simulated else client_of(options))
    screen.fail(error)
    return exit_of(error)


def _not_shown(lost: OSError, status: int, options: argparse.Namespace, screen: Screen) -> int:
    """Nothing more may be written to standard output, not even at the end; what the ECU needs comes first."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if status != Exit.DONE:
        return status
    if isinstance(lost, BrokenPipeError):
        return 128 + signal.SIGPIPE
    return _failed(OutputError(lost.strerror or str(lost)), options, screen)


if __name__ == "__main__":
    sys.exit(main())
