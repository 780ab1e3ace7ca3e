"""What every key of a definition file means, read from the schema's own source."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from appliance.definitions.access import protocols
from appliance.definitions.access.base import AccessDefinition


@cache
def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Field name to the text that stands under it in the class, base classes included."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base is not BaseModel and issubclass(base, BaseModel) and base.__module__.startswith("appliance."):
            found |= _own_meanings(base)
    return found


def _own_meanings(model: type[BaseModel]) -> dict[str, str]:
    body = next(
        node.body for node in ast.parse(inspect.getsource(model)).body if isinstance(node, ast.ClassDef)
    )
    found = {}
    for field, after in pairwise(body):
        text = _text(after)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and text is not None:
            found[field.target.id] = " ".join(text.split())
    return found


def _text(node: ast.stmt) -> str | None:
    """Of a string that stands by itself."""
    value = node.value if isinstance(node, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """By the keys that a file has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def tables_in(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Keys of a table that hold tables, and the shape of those."""
    for key, field in keys_of(model).items():
        for inner in models_in(field.annotation):
            yield key, inner


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every table that a value of this type may be; an access may be one of every protocol."""
    if annotation is AccessDefinition:
        yield from protocols().values()
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from models_in(inner)
