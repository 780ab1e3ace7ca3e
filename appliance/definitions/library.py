"""All definitions that can be used, and how an identity finds its own among them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.errors import DefinitionError, invalid, unknown
from appliance.definitions.schema import Definition

Score = tuple[int, int]
"""Identity fields that matched, and literal characters in their patterns: the greater, the more specific."""


class Way(NamedTuple):
    """One access of one definition: a way into its ECU."""

    definition: Definition
    access: AccessDefinition


@dataclass
class Library:
    """Definitions by id. A file that was refused is kept in `refused` and never costs the others."""

    _definitions: dict[str, Definition] = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict)
    refused: list[DefinitionError] = field(default_factory=list)

    def __iter__(self) -> Iterator[Definition]:
        return iter(self._definitions.values())

    def __len__(self) -> int:
        return len(self._definitions)

    def add(self, definition: Definition, path: Path) -> None:
        """Raises DefinitionError if another file has the id already: nothing replaces a definition unseen."""
        taken = self._files.setdefault(definition.id, path)
        if taken.resolve() != path.resolve():
            raise invalid(path, [f"id: {definition.id!r} is taken by {taken}"])
        self._definitions[definition.id] = definition

    def get(self, definition_id: str) -> Definition:
        """The definition of that id. Raises DefinitionError (DEFINITION_UNKNOWN)."""
        if definition_id not in self._definitions:
            near = difflib.get_close_matches(definition_id, self._definitions, n=1)
            raise unknown(definition_id, near, self.refused)
        return self._definitions[definition_id]

    def file_of(self, definition_id: str) -> Path:
        """Where the definition was read from. Raises KeyError."""
        return self._files[definition_id]

    def recognise(self, identity: Mapping[str, str | None]) -> list[Way]:
        """Accesses to an ECU that names itself so (keys hw, sw, boot, chip_id), the most specific first.

        A field the access has patterns for must be known and match; None never does, and neither does an
        access that has no patterns.
        """
        fitting = self._scored(identity)
        fitting.sort(key=lambda pair: (-pair[0][0], -pair[0][1], pair[1].definition.id))
        return [way for _, way in fitting]

    def rivals(self, way: Way, identity: Mapping[str, str | None]) -> list[Way]:
        """Accesses of other definitions that fit as well as this one: nothing but a name tells them apart."""
        own = _score(way.access, identity)
        return [
            other
            for score, other in self._scored(identity)
            if score == own and other.definition.id != way.definition.id
        ]

    def _scored(self, identity: Mapping[str, str | None]) -> list[tuple[Score, Way]]:
        return [
            (score, Way(definition, access))
            for definition in self
            for access in definition.accesses
            if (score := _score(access, identity)) is not None
        ]


def _score(access: AccessDefinition, identity: Mapping[str, str | None]) -> Score | None:
    fields, literals, given = 0, 0, access.recognition.given()
    if not given:
        return None
    for name, patterns in given.items():
        value = identity.get(name)
        matching = [pattern for pattern in patterns if value is not None and fnmatchcase(value, pattern)]
        if not matching:
            return None
        fields += 1
        literals += max(map(_literal_chars, matching))
    return fields, literals


def _literal_chars(pattern: str) -> int:
    return sum(char not in "*?[]" for char in pattern)
