"""Tables as the text of a definition file; the standard library only reads TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Tables = dict[str, Any]

_ARRAYS_OF_TABLES = frozenset({"memories", "regions", "access", "checksums", "rituals"})
"""Lists that get a heading for each table; others stand in one line."""
_DECIMAL = ("_bps", "_ms", "_us", "_s", "_v", "_per_block", "_in_all", "count", "version")
_HEX_FROM = 0x100


def toml_of(tables: Tables) -> str:
    """The file's text: plain keys first, then every table under its heading."""
    return "\n\n".join(_chunks((), tables, heading=None)) + "\n"


def _chunks(path: tuple[str, ...], table: Tables, heading: str | None) -> Iterator[str]:
    plain = {key: value for key, value in table.items() if value is not None and not _has_heading(key, value)}
    lines = [heading] if heading else []
    lines += [f"{key} = {value_text(value, key)}" for key, value in plain.items()]
    if lines:
        yield "\n".join(lines)
    for key, value in table.items():
        if not _has_heading(key, value):
            continue
        inside, dotted = (*path, key), ".".join((*path, key))
        if isinstance(value, dict):
            yield from _chunks(inside, value, f"[{dotted}]")
        else:
            for one in value:
                yield from _chunks(inside, one, f"[[{dotted}]]")


def _has_heading(key: str, value: Any) -> bool:
    return (isinstance(value, dict) and key != "parameters") or (
        key in _ARRAYS_OF_TABLES and isinstance(value, list)
    )


def value_text(value: Any, key: str = "") -> str:
    """One value; numbers that are addresses, identifiers or sizes in hexadecimal."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return _number(value, key)
        case dict():
            pairs = ", ".join(
                f"{name} = {value_text(one, name)}" for name, one in value.items() if one is not None
            )
            return f"{{ {pairs} }}"
        case list() | tuple():
            return f"[{', '.join(value_text(one, key) for one in value)}]"
        case str():
            return json.dumps(value, ensure_ascii=False)
    return repr(value)


def _number(value: int, key: str) -> str:
    if value < _HEX_FROM or key.endswith(_DECIMAL):
        return f"{value:_}"
    return f"0x{value:_X}"
