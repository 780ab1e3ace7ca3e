"""The engine's socket as an OpenAPI 3.1 document, made from the types that its requests and answers have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, cast

from pydantic import TypeAdapter

from appliance.contract.errors import ErrorTold
from appliance.contract.told import StreamTold
from appliance.engine.routes import Query, Route

_REF = "#/components/schemas/{model}"
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"},
}
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_LINE = "StreamTold"
_LINES = {
    "application/x-ndjson": {
        "schema": {
            "type": "string",
            "description": "One such document per line.",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": _REF.format(model=_LINE)},
        }
    }
}
_Mode = Literal["validation", "serialization"]


def openapi(routes: Sequence[Route], version: str) -> dict[str, object]:
    """The document of these routes."""
    schemas, components = _schemas(routes)
    _tell_kinds(components)
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pitbox engine", "version": version},
        "paths": paths,
        "components": {"schemas": components},
    }


def _schemas(routes: Iterable[Route]) -> tuple[dict[tuple[str, str], object], dict[str, Any]]:
    """By route and direction, and the parts that several of them use."""
    wanted: list[tuple[str, _Mode, TypeAdapter[Any]]] = [
        ("error", "serialization", TypeAdapter(ErrorTold)),
        (_LINE, "serialization", TypeAdapter(StreamTold)),
    ]
    for route in routes:
        if route.body not in (None, bytes):
            wanted.append((f"{route.method} {route.path}", "validation", TypeAdapter(route.body)))
        if route.answer is not bytes:
            wanted.append((f"{route.method} {route.path}", "serialization", TypeAdapter(route.answer)))
    found, shared = TypeAdapter.json_schemas(wanted, ref_template=_REF)
    schemas = cast(dict[tuple[str, str], object], found)
    return schemas, {**shared.get("$defs", {}), _LINE: schemas[_LINE, "serialization"]}


def _tell_kinds(components: dict[str, Any]) -> None:
    """Where every type of a union states its own `kind`, that is what tells them apart."""
    kinds = {
        _REF.format(model=name): one["properties"]["kind"]["const"]
        for name, one in components.items()
        if "const" in one.get("properties", {}).get("kind", {})
    }
    for union in _unions(components):
        references = [one.get("$ref") for one in union["anyOf"]]
        if all(reference in kinds for reference in references):
            union["oneOf"] = union.pop("anyOf")
            mapping = {kinds[reference]: reference for reference in references}
            union["discriminator"] = {"propertyName": "kind", "mapping": mapping}


def _unions(schema: object) -> Iterator[dict[str, Any]]:
    """Every union in a schema, however deep."""
    if isinstance(schema, dict):
        if "anyOf" in schema:
            yield schema
        for one in list(schema.values()):
            yield from _unions(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from _unions(one)


def _operation(route: Route, schemas: dict[tuple[str, str], object]) -> dict[str, object]:
    key = f"{route.method} {route.path}"
    answer = _BYTES if route.answer is bytes else _json(schemas[key, "serialization"])
    told: dict[str, object] = {
        "summary": route.summary,
        "x-roles": sorted(route.roles),
        "parameters": [*([_ID] if "{id}" in route.path else []), *map(_query, route.query)],
        "responses": {
            str(route.status): {
                "description": "What was asked for.",
                "content": answer | (_LINES if route.streams else {}),
            },
            "default": {
                "description": "The five answers.",
                "content": _json(schemas["error", "serialization"]),
            },
        },
    }
    if route.body is not None:
        content = _BYTES if route.body is bytes else _json(schemas[key, "validation"])
        told["requestBody"] = {"required": True, "content": content}
    return told


def _query(query: Query) -> dict[str, object]:
    return {"name": query.name, "in": "query", "required": False, "schema": dict(query.schema)}


def _json(schema: object) -> dict[str, object]:
    return {"application/json": {"schema": schema}}
