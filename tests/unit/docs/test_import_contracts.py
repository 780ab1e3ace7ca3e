"""The import contracts name every protocol that there is: a new one cannot slip into heart or engine."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
GENERAL = {"security", "transforms"}
"""Folders beside the protocols that are none: seed and key, and what is done to payload."""
WIRES = {"drivers.can", "drivers.kline"}


def contract(name: str) -> dict[str, Any]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (found,) = [one for one in settings["contracts"] if one["name"] == name]
    return dict(found)


def protocols() -> set[str]:
    folders = (path.parent.name for path in (ROOT / "appliance/protocols").glob("*/__init__.py"))
    return {f"appliance.protocols.{name}" for name in folders if name not in GENERAL}


@pytest.mark.parametrize(
    "name",
    [
        "The heart does not know UDS, CAN or any other wire",
        "Engine and heart meet protocols through their registry alone",
    ],
)
def test_every_protocol_and_wire_is_barred(name: str) -> None:
    assert len(protocols()) >= 4
    assert protocols() | WIRES <= set(contract(name)["forbidden_modules"])


def test_both_rooms_are_held_and_the_heart_through_others_too() -> None:
    registry = contract("Engine and heart meet protocols through their registry alone")
    assert set(registry["source_modules"]) == {"appliance.engine", "appliance.flashing"}
    heart = contract("The heart does not know UDS, CAN or any other wire")
    assert heart["source_modules"] == ["appliance.flashing"] and "allow_indirect_imports" not in heart
    assert "ignore_imports" not in heart and "ignore_imports" not in registry


def test_the_rooms_are_all_placed() -> None:
    layers = contract("The rooms of the appliance import downwards only")
    assert layers["exhaustive"] is True
    placed = {name.strip() for line in layers["layers"] for name in line.split("|")}
    assert placed == {path.parent.name for path in (ROOT / "appliance").glob("*/__init__.py")}
