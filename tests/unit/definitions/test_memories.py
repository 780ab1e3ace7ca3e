"""More than one memory, blocks that erase others, and what the heart cannot do with them yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from appliance.contract.errors import PitboxError
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.engine.operations.read import _chosen
from appliance.flashing.expressible import require_expressible
from tests.support.definitions import raw, validated

THREE = load_definition(Path(__file__).with_name("three_memories.toml"))
E400 = load_definition(PACKS / "pbx-e400.toml")


def changed(change: Callable[[dict[str, Any]], None], pack: Definition = E400) -> Definition:
    tables = raw(pack)
    change(tables)
    return validated(tables)


def region(tables: dict[str, Any], name: str) -> dict[str, Any]:
    regions = (one for memory in tables["memories"] for one in memory["regions"])
    return next(one for one in regions if one["name"] == name)


def test_twenty_megabytes_in_three_memories_at_the_same_addresses() -> None:
    assert sum(one.size_bytes for one in THREE.regions) == 20 << 20
    assert {one.start for one in THREE.regions} == {0x8000_0000}
    assert len({one.place for one in THREE.regions}) == 3
    assert [one.erased_byte for one in THREE.regions] == [0x00, 0xFF, 0xFF]
    reached = {access.name: [one.name for one in access.reached(THREE.memories)] for access in THREE.accesses}
    assert reached == {"obd": ["flash"], "bench-external": ["external"], "bench-second": ["second"]}


def test_memories_that_one_access_cannot_tell_apart_are_refused() -> None:
    def all_of_them(tables: dict[str, Any]) -> None:
        tables["access"][0]["memories"] = []

    with pytest.raises(ValidationError, match="have the same addresses, which nothing tells apart"):
        changed(all_of_them, THREE)


def test_an_access_names_memories_that_are_there() -> None:
    def nowhere(tables: dict[str, Any]) -> None:
        tables["access"][0]["memories"] = ["eeprom"]

    with pytest.raises(ValidationError, match="no memory is called 'eeprom'"):
        changed(nowhere)


@pytest.mark.parametrize(
    ("key", "told"), [("erases_with", "erases code with it"), ("depends_on", "depends on")]
)
def test_blocks_that_hang_together_are_refused_until_a_plan_knows_of_it(key: str, told: str) -> None:
    def together(tables: dict[str, Any]) -> None:
        region(tables, "calibration")[key] = ["code"]

    definition = changed(together)
    with pytest.raises(PitboxError, match="DEFINITION_BEYOND_PLAN") as caught:
        require_expressible(definition, definition.best_access)
    assert told in caught.value.details[0]


@pytest.mark.parametrize(
    ("name", "key", "value", "told"),
    [
        ("calibration", "erases_with", ["boot"], "which is not writable: nothing puts it back"),
        ("calibration", "erases_with", ["nowhere"], "this memory has no such region"),
        ("calibration", "erases_with", ["calibration"], "name other regions"),
        ("calibration", "depends_on", ["nowhere"], "no region is called so"),
        ("calibration", "unreadable_because", "it is locked", "belongs to readable = false"),
    ],
)
def test_regions_that_hang_together_wrongly_are_refused(
    name: str, key: str, value: object, told: str
) -> None:
    def wrong(tables: dict[str, Any]) -> None:
        region(tables, name)[key] = value

    with pytest.raises(ValidationError, match=told):
        changed(wrong)


def test_a_region_says_why_it_cannot_be_read() -> None:
    def locked(tables: dict[str, Any]) -> None:
        region(tables, "boot").update(readable=False, unreadable_because="the boot password is the owner's")

    assert changed(locked).region("boot").unreadable_because == "the boot password is the owner's"


def test_who_asks_for_a_region_that_cannot_be_read_is_told_why() -> None:
    def locked(tables: dict[str, Any]) -> None:
        region(tables, "boot").update(readable=False, unreadable_because="the boot password is the owner's")

    with pytest.raises(PitboxError, match="REGION_UNKNOWN") as caught:
        _chosen(E400.id, changed(locked).regions, ["boot"])
    assert caught.value.details == ("boot cannot be read: the boot password is the owner's",)
