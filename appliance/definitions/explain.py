"""Says what is wrong with a definition: one line per key, with the key's path and the reason."""

from __future__ import annotations

import difflib
import json
import re
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

KeyPath = Sequence[int | str]

UNITS = frozenset({"v", "s", "ms", "us", "bytes", "bps", "ms_per_kib"})
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Lines `key.path: reason` for a file that `model` refused."""
    return [_line(item, model) for item in error.errors(include_url=False)]


def suggest(key: str, known: Iterable[str]) -> str:
    """Why an unknown key is refused, naming the key that was probably meant."""
    names = sorted(known)
    for name in names:
        if name.startswith(f"{key}_") and name.removeprefix(f"{key}_") in UNITS:
            return f"unit missing: did you mean {name}?"
    if near := difflib.get_close_matches(key, names, n=1):
        return f"unknown key: did you mean {near[0]}?"
    return f"unknown key; known here: {', '.join(names)}"


def _line(item: ErrorDetails, model: type[BaseModel]) -> str:
    reason = _reason(item, model)
    return f"{_dotted(item['loc'])}: {reason}" if item["loc"] else reason


def _reason(item: ErrorDetails, model: type[BaseModel]) -> str:
    match item["type"]:
        case "missing":
            return "missing"
        case "extra_forbidden":
            *table, key = item["loc"]
            return suggest(str(key), _keys_of_table(table, model))
        case "json_invalid":
            return "has tables or arrays nested deeper than any definition needs"
        case "value_error":
            return str(item["ctx"]["error"])
    reason = item["msg"].replace("Input should be an object", "must be a table")
    reason = reason.replace("Input should be", "must be")
    return f"{reason[0].lower()}{reason[1:]}{_shown(item['input'])}"


def _shown(value: object) -> str:
    return "" if isinstance(value, dict | list) else f" (is {reprlib.repr(value)})"


def _keys_of_table(path: KeyPath, model: type[BaseModel]) -> Iterable[str]:
    for part in path:
        if isinstance(part, str) and (inner := _model_in(model.model_fields[part].annotation)):
            model = inner
    return model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_key(part)}"
    return text.removeprefix(".")


def _key(name: str) -> str:
    """Odd keys are quoted, so that nothing in a file can break or colour a line of the report."""
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)
