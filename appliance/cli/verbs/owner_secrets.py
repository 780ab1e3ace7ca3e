"""secrets: what only the owner has and an ECU is written with; it goes in and is never shown again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from appliance.cli.answer import Answer
from appliance.cli.options import Verbs, add_verb, add_yes
from appliance.cli.problems import FileProblemError
from appliance.cli.screen import Screen
from appliance.cli.verbs.session import client_of
from appliance.contract.told import SecretTold

_MOST_BYTES = 1 << 20
"""As the engine takes them."""


def add(verbs: Verbs) -> None:
    """Declare the group and its verbs."""
    about = "put, list or remove the owner's keys and loaders"
    group = verbs.add_parser("secrets", help=about, description=f"{about[0].upper()}{about[1:]}.")
    actions: Verbs = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    put_in = add_verb(
        actions, "put", put, "seal a key or a loader on this box", "It is never shown again, nor exported."
    )
    put_in.add_argument("name", metavar="NAME", help="as the definition names it, see `pitbox secrets list`")
    put_in.add_argument("file", metavar="FILE", help="its bytes as they are; - for standard input")
    _add_definition(put_in)
    put_in.add_argument(
        "--replace",
        action="store_true",
        help="also in the place of one that a write began with which is not over",
    )
    add_verb(actions, "list", listed, "every secret that a definition names, and whether it is here")
    out = add_verb(actions, "remove", remove, "wipe a key or a loader from this box")
    out.add_argument("name", metavar="NAME")
    _add_definition(out)
    add_yes(out)


def _add_definition(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--definition", metavar="ID", help="whose it is, where several definitions have one of that name"
    )


def put(options: argparse.Namespace, screen: Screen) -> Answer:
    """Hand one in. Raises PitboxError."""
    value = _value(options.file)
    told = client_of(options).put_secret(options.name, options.definition, value, replace=options.replace)
    lines = [f"✔ {told['name']} of {told['definition']} is sealed on this box, {len(value)} bytes."]
    if options.file != "-":
        lines.append(
            f"Next: {options.file} still lies in the clear: keep it where only its owner can read it."
        )
    return Answer(told, lines)


def listed(options: argparse.Namespace, screen: Screen) -> Answer:
    """Names alone."""
    found = client_of(options).get("/v1/secrets", list[SecretTold])
    return Answer(found, list(secret_lines(found)))


def secret_lines(found: list[SecretTold]) -> Iterator[str]:
    """A line for each, and what it is."""
    if not found:
        yield "No definition names a secret."
    for one in found:
        about = one["about"] or "no definition names it any more"
        yield f"{'✔' if one['stored'] else '-'} {one['definition']}  {one['name']}  {about}"
    if not all(one["stored"] for one in found):
        yield "Next: `pitbox secrets put NAME FILE` for what is missing."


def remove(options: argparse.Namespace, screen: Screen) -> Answer:
    """Have one wiped. Raises PitboxError."""
    client = client_of(options)
    about = [f"About to wipe {options.name} from this box: without it that ECU cannot be written."]
    screen.confirm(about, "Wipe it?", yes=options.yes)
    told = client.remove_secret(options.name, options.definition)
    return Answer(told, [f"✔ {told['name']} of {told['definition']} is gone from this box."])


def _value(name: str) -> bytes:
    """Raises FileProblemError."""
    try:
        if name == "-":
            value = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                value = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise FileProblemError(
            "FILE_UNREADABLE", f"{name}: {error.strerror}", "Name another file."
        ) from error
    if not 0 < len(value) <= _MOST_BYTES:
        raise FileProblemError(
            "FILE_STRANGE", f"{name} is empty or longer than 1 MiB", "No key or loader is: name another file."
        )
    return value
