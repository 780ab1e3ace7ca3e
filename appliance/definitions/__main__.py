"""`python -m appliance.definitions`: check, list, explain, new, upgrade, support, reference.

Exit status: 0 all is well, 1 a definition was refused, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from appliance.contract.text import printable
from appliance.definitions.access import protocols
from appliance.definitions.errors import DefinitionError
from appliance.definitions.evidence import badge
from appliance.definitions.explaining import in_words
from appliance.definitions.library import Library
from appliance.definitions.loader import load_all, load_definition
from appliance.definitions.reference import reference_page
from appliance.definitions.schema import Definition
from appliance.definitions.skeleton import skeleton
from appliance.definitions.support import support_page
from appliance.definitions.toml_text import toml_of
from appliance.definitions.upgrade import upgraded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit status."""
    options = _parser().parse_args(arguments)
    match options.verb:
        case "check":
            return _check(options.files)
        case "list":
            return _list(load_all(), as_json=options.json)
        case "explain":
            return _explain(options.id)
        case "upgrade":
            return _upgrade(options.file, beside=options.beside)
        case "new":
            text = skeleton(options.protocol)
        case "reference":
            text = reference_page()
        case _:
            text = support_page()
    print(text, end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pitbox definitions", description="ECU definitions.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    check = verbs.add_parser("check", help="say what is wrong with definition files")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE")
    listing = verbs.add_parser("list", help="definitions this box can use, yours included")
    listing.add_argument("--json", action="store_true", help="for machines")
    explain = verbs.add_parser("explain", help="tell a definition in words")
    explain.add_argument("id", metavar="ID")
    new = verbs.add_parser("new", help="a file to begin with, every key with its meaning")
    new.add_argument("--protocol", choices=sorted(protocols()), required=True)
    upgrade = verbs.add_parser("upgrade", help="a file of schema 1 as one of the present schema")
    upgrade.add_argument("file", type=Path, metavar="FILE")
    upgrade.add_argument("--beside", action="store_true", help="write NAME.schema2.toml beside it")
    verbs.add_parser("reference", help="every key of a definition file, as Markdown")
    verbs.add_parser("support", help="what is supported and which test proves it, as Markdown")
    return parser


def _check(files: Iterable[Path]) -> int:
    library, refused = load_all(), False
    for path in files:
        try:
            definition = load_definition(path)
            library.add(definition, path)
        except DefinitionError as error:
            refused = True
            _report(error)
        else:
            print(f"{path}: ok, {definition.id}, sha256 {definition.digest()}")
    return int(refused)


def _explain(definition_id: str) -> int:
    try:
        for line in in_words(load_all().get(definition_id)):
            print(printable(line))
    except DefinitionError as error:
        _report(error)
        return 1
    return 0


def _upgrade(path: Path, *, beside: bool) -> int:
    """The new file says what the old one said, or there is none."""
    try:
        definition = load_definition(path)
        text = toml_of(upgraded(tomllib.loads(path.read_text("utf-8-sig"))))
        new = path.with_name(f"{path.stem}.schema2.toml")
        if not beside:
            print(text, end="")
        else:
            with new.open("x", encoding="utf-8") as file:
                file.write(text)
            print(f"{new}: {definition.id}, sha256 {load_definition(new).digest()}")
    except DefinitionError as error:
        _report(error)
        return 1
    except OSError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    return 0


def _list(library: Library, as_json: bool) -> int:
    rows = [_row(library, definition) for definition in library]
    if as_json:
        refused = [error.as_dict() for error in library.refused]
        print(json.dumps({"definitions": rows, "refused": refused}, indent=2))
    else:
        for row in rows:
            told = f"{row['id']:<24} {row['evidence']:<13} {row['recommended']:<6} {row['name']}"
            print(printable(told))
        for error in library.refused:
            _report(error)
    return int(bool(library.refused))


def _row(library: Library, definition: Definition) -> dict[str, str | int]:
    return {
        "id": definition.id,
        "name": definition.name,
        "kind": definition.kind,
        "evidence": badge(definition),
        "recommended": definition.recommended.method,
        "recoverability": definition.best_access.recovery.recoverability,
        "size_bytes": sum(region.size_bytes for region in definition.regions),
        "sha256": definition.digest(),
        "file": str(library.file_of(definition.id)),
    }


def _report(error: DefinitionError) -> None:
    for line in (*error.details, f"{error.code}: {error.what}. {error.do_now}"):
        print(printable(line), file=sys.stderr)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no reason for a traceback
    sys.exit(main())
