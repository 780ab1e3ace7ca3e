"""What a definition may say and the heart cannot do yet: refused before anything is asked of the ECU."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.contract.errors import PitboxError
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition


def require_expressible(definition: Definition, access: AccessDefinition) -> None:
    """Raises PitboxError for erase groups that no plan can express."""
    problems = tuple(_problems(definition, access))
    if problems:
        raise PitboxError(
            "DEFINITION_BEYOND_PLAN",
            f"this box cannot work with the definition {definition.id} yet: {problems[0]}",
            do_now="Nothing was sent. Use a newer version of Pitbox, or another definition of this ECU.",
            details=problems,
        )


def _problems(definition: Definition, access: AccessDefinition) -> Iterator[str]:
    for region in access.regions(definition.memories):
        if region.writable and region.erases_with:
            yield f"region {region.name!r} erases {', '.join(region.erases_with)} with it"
        if region.writable and region.depends_on:
            yield f"region {region.name!r} depends on {', '.join(region.depends_on)}"
