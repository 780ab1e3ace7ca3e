"""Which of its definition's accesses a job takes."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from appliance.contract.errors import EngineError, PitboxError
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from appliance.flashing.journal import JobRecord


def access_of(job: JobRecord, definition: Definition) -> AccessDefinition:
    """The access that the job keeps by name; for one that keeps none, the first of its method.

    Raises PitboxError where the definition has no such access.
    """
    name = job.detail.get("access")
    if not isinstance(name, str):
        return access_by(definition, job.method)
    try:
        return definition.access_named(name)
    except KeyError as error:
        raise unknown_access(definition, name) from error


def over(job: JobRecord, definition: Definition, name: str | None) -> JobRecord:
    """The job as it is over that access, or over its own with None. Raises PitboxError."""
    if name is None:
        return job
    chosen = replace(job, detail={**job.detail, "access": name})
    access_of(chosen, definition)
    return chosen


def chosen_access(
    definition: Definition, method: str, memories: Set[str], name: str | None
) -> AccessDefinition:
    """The access of that name, or the fitting one of the method. Raises PitboxError."""
    if name is None:
        return access_for(definition, method, memories)
    try:
        return definition.access_named(name)
    except KeyError as error:
        raise unknown_access(definition, name) from error


def access_for(definition: Definition, method: str, memories: Set[str]) -> AccessDefinition:
    """The access of a method that reaches the most of these memories. Raises PitboxError."""
    fitting = [access for access in definition.accesses if access.method == method]
    if not fitting:
        raise unknown_access(definition, method)
    return max(fitting, key=lambda access: len(memories & access.reaches(definition.memories)))


def access_by(definition: Definition, method: str | None) -> AccessDefinition:
    """The first access of a method, or the first of all where none is known. Raises PitboxError."""
    for access in definition.accesses:
        if method in (None, access.method):
            return access
    raise unknown_access(definition, str(method))


def unknown_access(definition: Definition, wanted: str) -> PitboxError:
    """The error for an access that a definition has not got."""
    known = tuple(access.name for access in definition.accesses)
    return EngineError("ACCESS_UNKNOWN", definition=definition.id, wanted=wanted, known=known)
