"""The ways into an ECU: a file per protocol says what an access of that protocol looks like."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.access.kwp2000 import KwpAccessDefinition
from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.fields import Strict

_PROTOCOLS: dict[str, type[AccessDefinition]] = {
    "kwp2000": KwpAccessDefinition,
    "uds": UdsAccessDefinition,
}


def register(protocol: str, model: type[AccessDefinition]) -> None:
    """Make a protocol's accesses loadable. Raises ValueError for a name that is taken."""
    if _PROTOCOLS.setdefault(protocol, model) is not model:
        raise ValueError(f"the protocol {protocol!r} has a definition already")


def protocols() -> Mapping[str, type[AccessDefinition]]:
    """Every protocol that a definition may name, and the shape of its accesses."""
    return dict(_PROTOCOLS)


def parse_access(tables: object) -> AccessDefinition:
    """One `[[access]]` as its protocol shapes it. Raises ValidationError."""
    if isinstance(tables, AccessDefinition):
        return tables
    if not isinstance(tables, dict):
        raise ValueError("must be a table")
    protocol = tables.get("protocol")
    if protocol is None:
        raise _wrong("missing", protocol)
    model = _PROTOCOLS.get(protocol) if isinstance(protocol, str) else None
    if model is None:
        raise _wrong(_unknown(protocol), protocol)
    try:
        return model.model_validate_json(json.dumps(tables))
    except ValidationError as error:
        raise _tagged(error, str(protocol)) from error


def parse_twins(tables: object) -> dict[str, Strict]:
    """`[simulation.protocols]`: each as its protocol shapes it. Raises ValidationError, ValueError."""
    if not isinstance(tables, dict):
        raise ValueError("must be a table of tables")
    return {str(name): _twin(str(name), table) for name, table in tables.items()}


def _twin(protocol: str, table: object) -> Strict:
    if isinstance(table, Strict):
        return table
    model = _PROTOCOLS[protocol].twin_table if protocol in _PROTOCOLS else None
    if model is None:
        raise ValueError(f"no simulated ECU of protocol {protocol[:40]!r} has a table of its own")
    return model.model_validate_json(json.dumps(table))


def _tagged(error: ValidationError, protocol: str) -> ValidationError:
    """The same problems, with the protocol in their paths as pydantic's own unions have it."""
    problems = [
        InitErrorDetails(
            type=item["type"], loc=(protocol, *item["loc"]), input=item["input"], ctx=item.get("ctx", {})
        )
        for item in error.errors(include_url=False)
    ]
    return ValidationError.from_exception_data("access", problems)


def _unknown(protocol: object) -> str:
    near = difflib.get_close_matches(str(protocol), _PROTOCOLS, n=1)
    guess = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(_PROTOCOLS))}"
    return f"no access of protocol {str(protocol)[:40]!r} is implemented; {guess}"


def _wrong(reason: str, value: object) -> ValidationError:
    problem = PydanticCustomError("value_error", "{error}", {"error": reason})
    return ValidationError.from_exception_data(
        "access", [InitErrorDetails(type=problem, loc=("protocol",), input=value)]
    )
