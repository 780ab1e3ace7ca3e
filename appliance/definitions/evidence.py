"""How far a definition is proven, in the words that are shown."""

from __future__ import annotations

from functools import cache

from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.loader import PACKS, load_dirs
from appliance.definitions.schema import Definition

_ON_HARDWARE = ("bench-proven", "car-proven")


def badge(definition: Definition, access: AccessDefinition | None = None) -> str:
    """The level of an access, or of the best one.

    One won on hardware is only its file's claim, unless this very definition ships.
    """
    level = (access or definition.best_access).evidence
    if level in _ON_HARDWARE and definition.digest() not in _shipped():
        return f"{level}: claimed by its file"
    return level


@cache
def _shipped() -> frozenset[str]:
    return frozenset(definition.digest() for definition in load_dirs((PACKS,)))
