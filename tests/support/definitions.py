"""Other versions of a definition, for tests that change one thing of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from appliance.definitions.access.uds import UdsAccessDefinition, uds_access
from appliance.definitions.memory import Region
from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition

__all__ = ["raw", "uds_access", "validated", "with_access", "with_regions"]


def with_access(definition: Definition, **tables: Any) -> Definition:
    """Its access over UDS with other tables; a mapping changes single keys of one."""
    access = uds_access(definition)
    changed = {
        name: getattr(access, name).model_copy(update=dict(value)) if isinstance(value, Mapping) else value
        for name, value in tables.items()
    }
    other: UdsAccessDefinition = access.model_copy(update=changed)
    accesses = tuple(other if one is access else one for one in definition.accesses)
    return definition.model_copy(update={"accesses": accesses})


def with_regions(definition: Definition, regions: Iterable[Region]) -> Definition:
    """The definition with other regions in its only memory."""
    (memory,) = definition.memories
    own = tuple(region.model_copy(update={"memory": memory.name}) for region in regions)
    return definition.model_copy(update={"memories": (memory.model_copy(update={"regions": own}),)})


def raw(definition: Definition) -> dict[str, Any]:
    """As JSON, to be changed and validated anew."""
    tables: dict[str, Any] = json.loads(definition.canonical())
    return tables


def validated(tables: Mapping[str, Any]) -> Definition:
    """Raises ValidationError."""
    return definition_from_json(json.dumps(tables))
