"""A definition file to begin with: every key of a protocol, with what it means."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from appliance.definitions.access import protocols
from appliance.definitions.fields_told import keys_of, meanings, models_in
from appliance.definitions.loader import PACKS
from appliance.definitions.schema import Definition
from appliance.definitions.toml_text import value_text

_MODEL = PACKS / "pbx-x050.toml"
"""Stands in where a key must have some value."""
_OWN: dict[tuple[str, ...], Any] = {
    ("id",): "my-ecu",
    ("name",): "My ECU",
    ("maker",): "who made it",
    ("cpu",): "which processor and flash",
    ("evidence", "sources"): ["where you read it"],
    ("access", "evidence"): "unproven",
    ("access", "prefer"): None,
    ("access", "reason"): "Why to take this access.",
    ("access", "recovery", "advice"): "What to do when a write was interrupted.",
    ("access", "sessions", "write_security"): {"level": 0x01, "algorithm": "sa2", "secret": "unlock"},
    ("secrets", "name"): "unlock",
    ("secrets", "role"): "unlock",
    ("secrets", "about"): "What answers the ECU's seed, and where an owner has it from.",
    ("secrets", "most_bytes"): 256,
}
_OWN_TABLES: dict[str, dict[str, Any]] = {
    "kwp2000": {
        "line": {"wake": "fast", "target": 0x10},
        "identity": {"hw": {"option": 0x92}, "sw": {"option": 0x94}},
    },
}
"""By protocol, in place of what that ECU has for them."""
_KEPT = ("name", "method", "evidence", "reason", "recognition", "voltage", "recovery", "rituals")
"""Keys of an access that mean the same in every protocol."""
_LEFT_OUT = ("simulation", "steps", "entry")
"""Tables that few ECUs need; docs/definitions.md has them."""
_LISTS = ("rituals", "checksums", "address_spaces", "secrets")


def skeleton(protocol: str) -> str:
    """The text of a file that loads, and claims nothing. Raises KeyError for an unknown protocol."""
    access = protocols()[protocol]
    example = tomllib.loads(_MODEL.read_text("utf-8"))
    if protocol in _OWN_TABLES:
        known = {key: value for key, value in example["access"][0].items() if key in _KEPT}
        example["access"] = [{**known, "protocol": protocol, **_OWN_TABLES[protocol]}]
    lines = [
        "# A definition of schema 2. Keys with a `#` in front may be left out: then they are as shown.",
        "# The numbers are an invented ECU's: replace each, and say under sources how you know better.",
        *_table((), Definition, example, access),
    ]
    return "\n".join(lines) + "\n"


def _table(
    path: tuple[str, ...], model: type[BaseModel], example: dict[str, Any], access: type[BaseModel]
) -> Iterator[str]:
    """Keys first, then the tables, each under its heading."""
    told, later = meanings(model), []
    for key, field in keys_of(model).items():
        if key in _LEFT_OUT or (key == "memory" and path[-1] in ("regions", "checksums")):
            continue
        inner = next(models_in(field.annotation), None)
        name = next(name for name, one in model.model_fields.items() if one is field)
        if inner is not None and not _stands_in_a_line(key):
            given = field.is_required() or key == "secrets"
            later.append((key, access if key == "access" else inner, given))
            continue
        yield f"# {told[name]}"
        wanted = _OWN.get((*path, key), example.get(key))
        if wanted is not None:
            yield f"{key} = {value_text(wanted, key)}"
        else:
            default = field.get_default(call_default_factory=True)
            shown = "..." if default is None else value_text(default, key)
            yield f"# {key} = {shown}"
    for key, inner, required in later:
        yield from _inner_table((*path, key), inner, example.get(key), access, required)


def _inner_table(
    path: tuple[str, ...], model: type[BaseModel], example: Any, access: type[BaseModel], required: bool
) -> Iterator[str]:
    several = isinstance(example, list) or path[-1] in _LISTS
    heading = f"[[{'.'.join(path)}]]" if several else f"[{'.'.join(path)}]"
    filled = example[-1] if isinstance(example, list) else example
    lines = list(_table(path, model, filled or {}, access))
    yield ""
    yield f"# {(model.__doc__ or '').strip().splitlines()[0]}"
    if required:
        yield heading
        yield from lines
        return
    yield f"# {heading}"
    yield from (line if not line or line.startswith("#") else f"# {line}" for line in lines)


def _stands_in_a_line(key: str) -> bool:
    return key in ("sectors", "payloads", "transforms", "wiring", "read_security", "write_security")
