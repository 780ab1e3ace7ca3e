"""How far a definition is proven, in the words that are shown."""

from __future__ import annotations

from functools import cache

from appliance.definitions.loader import PACKS, load_dirs
from appliance.definitions.schema import Definition

_ON_HARDWARE = ("bench-proven", "car-proven")


def badge(definition: Definition) -> str:
    """The level; one won on hardware is only its file's claim, unless this very definition ships."""
    level = definition.evidence.level
    if level in _ON_HARDWARE and definition.digest() not in _shipped():
        return f"{level}: claimed by its file"
    return level


@cache
def _shipped() -> frozenset[str]:
    return frozenset(definition.digest() for definition in load_dirs((PACKS,)))
