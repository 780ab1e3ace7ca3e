"""Phrases: what is said within something else, or beside it."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.contract.catalogue import Field, Phrase, harmless, spelled
from appliance.contract.problem_texts import PHRASES


def phrase(key: str, **fields: Field) -> Phrase:
    """Something said. Raises ValueError for what the catalogue has no words for."""
    safe = harmless(fields)
    return Phrase(key, safe, spelled(PHRASES, key, safe))


def named(names: Iterable[object]) -> tuple[Phrase, ...]:
    """A phrase per name: places, numbers and ids, which are the same in every language."""
    return tuple(phrase("named", name=str(one)) for one in names)
