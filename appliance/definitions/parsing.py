"""A definition from its JSON, of whichever schema: files and pinned copies both come through here."""

from __future__ import annotations

import json
from typing import Any

from appliance.definitions.fields import admitted_before
from appliance.definitions.schema import SCHEMA_VERSION, Definition
from appliance.definitions.upgrade import upgraded


class SchemaMismatchError(ValueError):
    """The tables are of no schema that this build reads, or of two at once; the text is `key: reason`."""


def definition_from_json(text: str | bytes, model: type[Definition] = Definition) -> Definition:
    """Raises ValidationError for what is wrong in it, SchemaMismatchError for a schema of another build."""
    tables = _tables(text)
    if tables is None or tables.get("schema_version") == SCHEMA_VERSION:
        return model.model_validate_json(text)
    version = tables.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise SchemaMismatchError(
            f"schema_version: {version} is of a newer Pitbox; this one reads 1 and {SCHEMA_VERSION}"
        )
    try:
        newer = upgraded(tables)
    except ValueError as error:
        raise SchemaMismatchError(str(error)) from error
    return model.model_validate_json(json.dumps(newer))


def pinned_definition(data: bytes, model: type[Definition] = Definition) -> Definition:
    """One that was let in before, perhaps by a build that was less strict: a write may be open under it.

    Raises ValidationError where this build does not know its keys, or a value is none of theirs, and
    SchemaMismatchError.
    """
    with admitted_before():
        return definition_from_json(data, model)


def _tables(text: str | bytes) -> dict[str, Any] | None:
    """None for what is no JSON object: the schema says better what is wrong with it."""
    try:
        tables = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tables if isinstance(tables, dict) else None
