"""What is received is held against its type: the same verdicts as those of an independent library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from appliance.contract import events_told, preview, report, results, told
from appliance.contract.checked import UnreadableError, checked
from appliance.contract.told import EventPage

KINDS: dict[str, Any] = {
    name: kind
    for module in (told, results, report, preview, events_told)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and hasattr(kind, "__required_keys__")
}
VALUES: tuple[object, ...] = (None, True, 7, 1.5, "word", [], {}, [None], {"a": 1})


def whole(kind: Any) -> Any:
    """A value of a type, made from the JSON Schema that another library makes of it."""
    schema = TypeAdapter(kind).json_schema()
    return _made(schema, schema.get("$defs", {}))


def _made(schema: dict[str, Any], known: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _made(known[schema["$ref"].rpartition("/")[2]], known)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return _made(schema[union][0], known)
    if schema.get("type") == "object":
        return {name: _made(one, known) for name, one in schema.get("properties", {}).items()}
    by_type = {"string": "x", "integer": 7, "number": 1.5, "boolean": True, "null": None}
    return [_made(schema["items"], known)] if schema.get("type") == "array" else by_type[schema["type"]]


def spoiled(value: Any) -> Iterator[Any]:
    """The value with one place of it gone or otherwise, for each of its places."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield {key: other for key, other in value.items() if key != name}
            yield from (value | {name: changed} for changed in (*VALUES, *spoiled(one)))
    elif isinstance(value, list):
        yield from ([one] for one in (*VALUES, *(spoiled(value[0]) if value else ())))


def fits(other: TypeAdapter[Any], value: object) -> bool:
    try:
        other.validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def fits_ours(kind: Any, value: object) -> bool:
    try:
        assert checked(kind, value) is value
    except UnreadableError:
        return False
    return True


def place_of_change(one: Any, other: Any) -> str:
    """The innermost key where two values that differ in one place do."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other) == 1:
        return place_of_change(one[0], other[0])
    if not isinstance(one, dict) or not isinstance(other, dict) or one.keys() != other.keys():
        return ""
    (name,) = (name for name in one if one[name] != other[name])
    return place_of_change(one[name], other[name]) or name


@pytest.mark.parametrize("name", sorted(KINDS))
def test_both_agree_on_what_is_of_a_type(name: str) -> None:
    """Ours lets more through only where a newer engine may know more: words of safety and of a proposal's
    state, kinds of events.
    """
    kind, value = KINDS[name], whole(KINDS[name])
    library: TypeAdapter[Any] = TypeAdapter(kind)
    assert fits(library, value) and fits_ours(kind, value)
    judged = set()
    for other in spoiled(value):
        expected = fits(library, other)
        judged.add(expected)
        if expected:
            assert fits_ours(kind, other), other
        elif fits_ours(kind, other):
            assert place_of_change(value, other) in ("ecu", "kind", "state"), other
    assert False in judged


def test_what_is_refused_is_told_with_its_place() -> None:
    page = whole(EventPage)
    page["events"][0]["seq"] = "1"
    with pytest.raises(UnreadableError, match=r"^events\[0\]\.seq: str in place of int$"):
        checked(EventPage, page)


def test_a_type_that_cannot_cross_the_socket_is_no_type() -> None:
    with pytest.raises(TypeError, match="nothing that crosses the socket"):
        checked(bytes, b"")
