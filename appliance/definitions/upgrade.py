"""Definitions of schema 1 (one memory, one access over UDS, one checksum) as tables of schema 2.

Nothing is judged here: whatever is wrong in the tables is still wrong in what becomes of them, and told
under the keys of the file it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Tables = dict[str, Any]
KeyPath = tuple[int | str, ...]

_MOVED = (
    "recognition", "bus", "addressing", "timing", "identity", "sessions", "reading", "writing", "checking",
    "voltage", "recovery", "rituals",
)  # fmt: skip
"""Tables that are the access's own."""
_BOUNDS = ("most_per_block", "most_in_all")
_OF_MEMORIES = ("erased_byte", "page_bytes")
_ONLY_NEW = ("memories", "access", "checksums", "secrets")
_ORDER = (
    "schema_version", "id", "name", "kind", "maker", "cpu", "evidence", "memories", "access", "checksums",
    "plausibility", "simulation",
)  # fmt: skip
_FORMER: tuple[tuple[KeyPath, KeyPath], ...] = (
    (("access", 0, "evidence"), ("evidence", "level")),
    (("access", 0, "reason"), ("method", "reason")),
    (("access", 0, "prefer"), ("method", "recommended")),
    (("access", 0, "erase_bounds"), ("erasing",)),
    (("access", 0), ()),
    (("memories", 0), ()),
    (("memories",), ("regions",)),
    (("checksums", 0), ("checksum",)),
    (("checksums",), ("checksum",)),
)


def upgraded(tables: Tables) -> Tables:
    """Tables of schema 2; those that are so already, or of no known schema, as they are.

    Raises ValueError for a file that mixes both.
    """
    if tables.get("schema_version") != 1:
        return tables
    if mixed := [key for key in _ONLY_NEW if key in tables]:
        raise ValueError(f"{mixed[0]}: belongs to schema_version = 2, and this file says 1")
    old = dict(tables)
    access, evidence = _access(old)
    new: Tables = {"schema_version": 2, "memories": [_memory(old.pop("regions", None))], "access": [access]}
    if evidence is not None:
        new["evidence"] = evidence
    checksum = old.pop("checksum", None)
    if checksum is not None:
        new["checksums"] = [checksum]
    del old["schema_version"]
    together = {**old, **new}
    return {key: together.pop(key) for key in _ORDER if key in together} | together


def former_path(path: Sequence[int | str]) -> KeyPath:
    """Where a key of schema 2 stands in a file of schema 1."""
    whole = tuple(path)
    for new, former in _FORMER:
        if whole[: len(new)] == new:
            return (*former, *whole[len(new) :])
    return whole


def _access(old: Tables) -> tuple[Tables, Any]:
    """The one access, its tables taken out of `old`, and the evidence without its level."""
    access: Tables = {"name": "obd", "method": "obd", "protocol": "uds"}
    evidence = old.pop("evidence", None)
    if isinstance(evidence, dict):
        evidence = dict(evidence)
        _take(evidence, "level", access, "evidence")
    method = old.pop("method", None)
    if isinstance(method, dict):
        method = dict(method)
        _take(method, "reason", access, "reason")
        if method.get("recommended") == "obd":
            del method["recommended"]
        _take(method, "recommended", access, "prefer")
        access.update(method)
    erasing = old.pop("erasing", None)
    if isinstance(erasing, dict):
        bounds = {key: erasing[key] for key in _BOUNDS if key in erasing}
        access["erasing"] = {key: value for key, value in erasing.items() if key not in _BOUNDS}
        if bounds:
            access["erase_bounds"] = bounds
    elif erasing is not None:
        access["erasing"] = erasing
    for table in _MOVED:
        _take(old, table, access, table)
    return access, evidence


def _memory(regions: Any) -> Tables:
    """One memory; what all its regions say alike is the memory's own word."""
    memory: Tables = {"name": "flash"}
    if regions is None:
        return memory
    if isinstance(regions, list) and regions and all(isinstance(region, dict) for region in regions):
        for key in _OF_MEMORIES:
            told = {repr(region.get(key)) for region in regions}
            if len(told) == 1 and regions[0].get(key) is not None:
                memory[key] = regions[0][key]
                regions = [{name: told for name, told in one.items() if name != key} for one in regions]
    memory["regions"] = regions
    return memory


def _take(source: Tables, key: str, target: Tables, name: str) -> None:
    if key in source:
        target[name] = source.pop(key)
