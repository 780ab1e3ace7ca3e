"""Texts by key and fields: what is told names a key, and its words are made in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, TypeAlias

from typing_extensions import TypedDict

from appliance.contract.text import printable

FOREIGN = frozenset({"technical_text", "author_text", "person_text"})
"""Fields whose text is never translated: of operating system, driver, library or parser; of a definition's or
a file's author; of a person. What moves a cursor or hides something is escaped in them."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something said; screens translate by the key, everybody else reads the text."""

    key: str
    """Empty where an earlier release said it, which knew of no keys."""
    fields: dict[str, Field] = field(hash=False)
    text: str
    """In English."""

    def __str__(self) -> str:
        return self.text

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Phrase:
        """What was kept or received in its JSON form."""
        fields = {name: _read(value) for name, value in kept.get("fields", {}).items()}
        return cls(kept.get("key", ""), fields, kept["text"])

    def as_dict(self) -> PhraseTold:
        """JSON form that crosses the engine's socket."""
        return PhraseTold(key=self.key, fields=told(self.fields), text=self.text)


class PhraseTold(TypedDict):
    """Something said: by key and fields for screens that translate, and in English."""

    key: str
    fields: dict[str, FieldTold]
    text: str


Field: TypeAlias = str | int | float | tuple[str, ...] | Phrase | tuple[Phrase, ...]
"""A number in the unit its name says, a text as it came from ECU or file, a list of names, or phrases."""
FieldTold: TypeAlias = str | int | float | list[str] | PhraseTold | list[PhraseTold]
"""The same in JSON."""


def told(fields: Mapping[str, Field]) -> dict[str, FieldTold]:
    """Fields in their JSON form."""
    return {name: _told(value) for name, value in fields.items()}


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
    return filled(texts[key], fields)


def filled(text: str, fields: Mapping[str, Field]) -> str:
    """The text with its fields in it."""
    return text.format(**{name: _shown(value) for name, value in fields.items()})


def harmless(fields: Mapping[str, Field]) -> dict[str, Field]:
    """The fields, with everything escaped in foreign text that would move a cursor or hide something."""
    return {
        name: printable(value) if name in FOREIGN and isinstance(value, str) else value
        for name, value in fields.items()
    }


def _shown(value: Field) -> str | int | float:
    if isinstance(value, Phrase):
        return value.text
    if isinstance(value, str | int | float):
        return value
    between = "; " if any(isinstance(one, Phrase) for one in value) else ", "
    return between.join(map(str, value))


def _told(value: Field) -> FieldTold:
    if isinstance(value, Phrase):
        return value.as_dict()
    if isinstance(value, str | int | float):
        return value
    phrases = [one.as_dict() for one in value if isinstance(one, Phrase)]
    return phrases or [one for one in value if isinstance(one, str)]


def _read(value: Any) -> Field:
    if isinstance(value, Mapping):
        return Phrase.read(value)
    return tuple(_read(one) for one in value) if isinstance(value, list) else value  # type: ignore[return-value]
