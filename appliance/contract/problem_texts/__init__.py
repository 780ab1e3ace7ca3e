"""What errors may say, in English: the one place where their words are made, by key and fields.

A file per room. Errors have a key in capitals, their code, and behind a dot which of its sentences where it
has several; phrases are what an error, a note or a gate may say besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TypeVar

from appliance.contract.problem_texts import definitions, engine, flashing, protocols, vault
from appliance.contract.problem_texts.words import Words

_Words = TypeVar("_Words")
ROOMS: tuple[ModuleType, ...] = (definitions, engine, flashing, protocols, vault)


def _of_all(*rooms: Mapping[str, _Words]) -> dict[str, _Words]:
    found = {key: words for room in rooms for key, words in room.items()}
    if len(found) != sum(map(len, rooms)):
        raise ValueError("two rooms have words for the same key")
    return found


ERRORS: dict[str, Words] = _of_all(*(room.ERRORS for room in ROOMS))
PHRASES: dict[str, str] = _of_all(*(room.PHRASES for room in ROOMS))
