"""Says what is wrong with a definition: one line per key, with the key's path and the reason."""

from __future__ import annotations

import difflib
import json
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from appliance.definitions.access import protocols
from appliance.definitions.access.base import AccessDefinition

KeyPath = Sequence[int | str]

_MOST_TOLD = 100
"""Problems of one file: nobody reads more, and every list of definitions carries them."""
UNITS = frozenset({"v", "s", "ms", "us", "bytes", "bps", "ms_per_kib"})
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def explain(
    error: ValidationError,
    model: type[BaseModel],
    told_as: Callable[[KeyPath], KeyPath] = tuple,
) -> list[str]:
    """Lines `key.path: reason` for a file that `model` refused; `told_as` is how its own keys are called."""
    found = error.errors(include_url=False)
    more = [f"and {len(found) - _MOST_TOLD} more problems"] if len(found) > _MOST_TOLD else []
    return [*(_line(item, model, told_as) for item in found[:_MOST_TOLD]), *more]


def suggest(key: str, known: Iterable[str]) -> str:
    """Why an unknown key is refused, naming the key that was probably meant."""
    names = sorted(known)
    for name in names:
        if name.startswith(f"{key}_") and name.removeprefix(f"{key}_") in UNITS:
            return f"unit missing: did you mean {name}?"
    if near := difflib.get_close_matches(key, names, n=1):
        return f"unknown key: did you mean {near[0]}?"
    return f"unknown key; known here: {', '.join(names)}"


def _line(item: ErrorDetails, model: type[BaseModel], told_as: Callable[[KeyPath], KeyPath]) -> str:
    found, table = _in_file(item["loc"], model)
    reason, path = _reason(item, table), told_as(found)
    return f"{_dotted(path)}: {reason}" if path else reason


def _reason(item: ErrorDetails, table: type[BaseModel]) -> str:
    context = item.get("ctx", {})
    told = {
        "missing": "missing",
        "union_tag_not_found": f"{context.get('discriminator')} missing",
        "union_tag_invalid": f"{context.get('tag')!r} is none of {context.get('expected_tags')}",
        "json_invalid": "has tables or arrays nested deeper than any definition needs",
        "value_error": str(context.get("error")),
    }
    if item["type"] == "extra_forbidden":
        return suggest(str(item["loc"][-1]), _fields(table))
    if item["type"] in told:
        return told[item["type"]]
    reason = item["msg"].replace("Input should be an object", "must be a table")
    reason = reason.replace("Input should be", "must be")
    return f"{reason[0].lower()}{reason[1:]}{_shown(item['input'])}"


def _shown(value: object) -> str:
    return "" if isinstance(value, dict | list) else f" (is {reprlib.repr(value)})"


def _in_file(path: KeyPath, model: type[BaseModel]) -> tuple[list[int | str], type[BaseModel]]:
    """The path as the file has it, without the tags of unions, and the table of its last key."""
    found: list[int | str] = []
    options, table = [model], model
    for part in path:
        if isinstance(part, int):
            found.append(part)
        elif len(options) > 1 and (tagged := [one for one in options if _has_tag(one, part)]):
            options = tagged
        else:
            found.append(part)
            table = options[0]
            field = _fields(table).get(part)
            options = (list(_models_in(field.annotation)) if field else []) or options
    return found, table


def _fields(table: type[BaseModel]) -> dict[str, FieldInfo]:
    """By the keys that a file has for them."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    """Whether the model is the member of a union that a key with this value chooses."""
    return any(tag in get_args(field.annotation) for field in model.model_fields.values())


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        if annotation is AccessDefinition:
            yield from protocols().values()
        return
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_key(part)}"
    return text.removeprefix(".")


def _key(name: str) -> str:
    """Odd keys are quoted, so that nothing in a file can break or colour a line of the report."""
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)
