"""A person who connects every wire of an access on the bench."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.definitions.access.base import AccessDefinition
from drivers.person.simulated import Reply


def connected(access: AccessDefinition, after_s: float = 20.0) -> Mapping[str, Sequence[Reply]]:
    """A reply to the question for each wire."""
    return {f"wire_{number}": [Reply("connected", after_s)] for number in range(1, len(access.wiring) + 1)}
