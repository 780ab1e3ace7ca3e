"""Reads definition files and refuses what is wrong with them, every problem at once."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from appliance.definitions.errors import DefinitionError, invalid
from appliance.definitions.library import Library
from appliance.definitions.parsing import SchemaMismatchError, definition_from_json
from appliance.definitions.refusing import explain
from appliance.definitions.schema import Definition
from appliance.definitions.upgrade import former_path

PACKS = Path(__file__).with_name("packs")
FAMILIES = Path(__file__).with_name("families")
"""Real ECUs that nobody has run: used by whoever names this folder, and not by anybody else."""
USER_DIR = Path("/etc/pitbox/definitions.d")
USER_DIR_VARIABLE = "PITBOX_DEFINITIONS"
MAX_FILE_BYTES = 1 << 20
MOST_SIGNS = {
    "dots": (b".", 2_000),
    "keys": (b"=", 5_000),
    "commas": (b",", 10_000),
    "opening brackets": (b"[", 5_000),
}
"""The standard library's parser takes memory with the square of the parts of a dotted key, and each key, item
and table may be wrong in a way of its own: a definition has a few hundred of them."""

_PLACE_IN_TOML = re.compile(r"(?P<reason>.*) \(at (?P<place>line \d+, column \d+|end of document)\)", re.S)


def load_definition(path: Path) -> Definition:
    """The definition in one TOML file. Raises DefinitionError with every problem of it."""
    tables = _parsed(path, _text(path, _content(path)))
    old = tables.get("schema_version") == 1
    try:
        definition = definition_from_json(_json(path, tables))
    except ValidationError as error:
        raise invalid(path, explain(error, Definition, former_path if old else tuple)) from error
    except SchemaMismatchError as error:
        raise invalid(path, [str(error)]) from error
    if problems := [] if old else list(definition.open_secrets()):  # the older schema has no other place
        raise invalid(path, problems)
    return definition


def load_all(extra_dirs: Iterable[Path] = ()) -> Library:
    """The packs, the user's own directory and `extra_dirs`; refused files are in the library's `refused`.

    The user's directory is $PITBOX_DEFINITIONS or else /etc/pitbox/definitions.d, which need not exist.
    """
    return load_dirs((PACKS, *_user_dirs(), *extra_dirs))


def load_dirs(directories: Iterable[Path]) -> Library:
    """The definitions of these directories alone, in their order."""
    library = Library()
    for directory in directories:
        try:
            files = _definition_files(directory)
        except OSError as error:
            library.refused.append(invalid(directory, [_cannot_read(error)]))
            continue
        for path in files:
            _add(library, path)
    return library


def _user_dirs() -> Iterator[Path]:
    if own := os.environ.get(USER_DIR_VARIABLE):
        yield Path(own)
    elif USER_DIR.exists():
        yield USER_DIR


def _definition_files(directory: Path) -> list[Path]:
    names = (path for path in directory.iterdir() if path.suffix == ".toml")
    return sorted(path for path in names if not path.name.startswith("."))


def _add(library: Library, path: Path) -> None:
    try:
        library.add(load_definition(path), path)
    except DefinitionError as error:
        library.refused.append(error)


def _content(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise invalid(path, ["is not a regular file"])
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise invalid(path, [_cannot_read(error)]) from error
    if len(content) > MAX_FILE_BYTES:
        raise invalid(path, [f"is larger than {MAX_FILE_BYTES >> 20} MiB, more than any definition needs"])
    if not content.strip():
        raise invalid(path, ["is empty"])
    for name, (sign, most) in MOST_SIGNS.items():
        if content.count(sign) > most:
            raise invalid(path, [f"has more than {most} {name}, more than any definition needs"])
    return content


def _cannot_read(error: OSError) -> str:
    return f"cannot be read: {error.strerror}"


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise invalid(path, [f"line {line}: is not UTF-8 text; save the file as UTF-8"]) from error


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise invalid(path, [_toml_problem(str(error), text)]) from error
    except (ValueError, RecursionError) as error:
        raise invalid(path, [f"has a value no definition needs: {error}"]) from error


def _toml_problem(message: str, text: str) -> str:
    found = _PLACE_IN_TOML.fullmatch(message)
    if not found:
        return message
    at_end = f"line {text.count(chr(10)) + 1}, end of file"
    place = at_end if found["place"] == "end of document" else found["place"]
    return f"{place}: {found['reason']}"


def _json(path: Path, data: dict[str, Any]) -> str:
    """The same tables as JSON, in which the strict schema takes arrays for tuples."""
    try:
        return json.dumps(data, default=_no_dates)
    except (ValueError, RecursionError) as error:
        raise invalid(path, [f"has a value no definition needs: {error}"]) from error


def _no_dates(value: object) -> object:
    raise ValueError(f"the date or time {value}")
