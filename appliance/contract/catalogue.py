"""Texts by key and fields: what is told names a key, and its words are made in one place."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter

Field = str | int | float | tuple[str, ...]
"""A number in the unit its name says, a text as it came from ECU or file, or a list of names."""
FieldTold = str | int | float | list[str]
"""The same in JSON."""


def fields_of(text: str) -> set[str]:
    """The fields that a text names."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def spelled(texts: Mapping[str, str], key: str, fields: Mapping[str, Field]) -> str:
    """The English text. Raises ValueError for an unknown key, and for other fields than its text has."""
    if key not in texts:
        raise ValueError(f"there are no words for {key!r}")
    named = fields_of(texts[key])
    if named != set(fields):
        raise ValueError(f"{key} is told with {sorted(named)}, not with {sorted(fields)}")
    return texts[key].format(**{name: _shown(value) for name, value in fields.items()})


def _shown(value: Field) -> str | int | float:
    return value if isinstance(value, str | int | float) else ", ".join(value)
