"""Options that every verb takes, before or behind its name."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from appliance.cli.answer import Answer
from appliance.cli.screen import Screen

DEFAULT_SOCKET = "/run/pitbox/engine.sock"

Verb: TypeAlias = Callable[[argparse.Namespace, Screen], Answer]
Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def default_socket() -> Path:
    """$PITBOX_SOCKET, or where the service listens."""
    return Path(os.environ.get("PITBOX_SOCKET") or DEFAULT_SOCKET)


def add_common(parser: argparse.ArgumentParser, *, engine: bool = True) -> None:
    """--socket, --json and --quiet; absent ones leave what stood before the verb alone.

    Without an engine to ask there is neither a socket nor its JSON.
    """
    common = parser.add_argument_group("for every command")
    if engine:
        common.add_argument(
            "--socket",
            type=Path,
            metavar="PATH",
            default=argparse.SUPPRESS,
            help=f"where the engine listens (default: $PITBOX_SOCKET or {DEFAULT_SOCKET})",
        )
        common.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="one JSON document on standard output; progress stays on standard error",
        )
    common.add_argument(
        "--quiet",
        action="store_true",
        default=argparse.SUPPRESS,
        help="no progress and no notes; alarms stay",
    )


def add_verb(verbs: Verbs, name: str, run: Verb, help_text: str, about: str = "") -> argparse.ArgumentParser:
    """A verb with its common options; `about` goes on where the one-line help ends."""
    parser = verbs.add_parser(
        name,
        help=help_text,
        description=f"{help_text[0].upper()}{help_text[1:]}. {about}".strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser)
    parser.set_defaults(run=run)
    return parser


def add_yes(parser: argparse.ArgumentParser) -> None:
    """--yes, for whoever is not there to be asked."""
    parser.add_argument("--yes", action="store_true", help="do not ask: the summary is right (for scripts)")


def add_job(parser: argparse.ArgumentParser, default: str) -> None:
    """--job, with what is taken when it is not given."""
    parser.add_argument("--job", metavar="ID", help=f"a job's id or its beginning (default: {default})")
