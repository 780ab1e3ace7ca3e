"""More than one memory, blocks that erase others, and what the heart cannot do with them yet."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from appliance.contract.errors import PitboxError
from appliance.contract.places import Range
from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.explaining import in_words
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.engine.operations.read import _chosen
from tests.support.box import with_eeprom
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
    assert reached == {
        "obd": ["flash"],
        "bench-external": ["external"],
        "bench-second": ["second"],
        "bench": ["flash", "external", "second"],
    }


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


def test_regions_that_depend_on_each_other_are_refused() -> None:
    def in_a_circle(tables: dict[str, Any]) -> None:
        region(tables, "calibration")["depends_on"] = ["code"]
        region(tables, "code")["depends_on"] = ["calibration"]

    with pytest.raises(ValidationError, match="depends on itself in the end"):
        changed(in_a_circle)


def test_memories_that_share_a_block_id_are_refused_where_blocks_are_named_by_it() -> None:
    def shared(tables: dict[str, Any]) -> None:
        block = region(tables, "maps")
        for access in tables["access"]:
            access["erasing"]["by"] = "block_id"
        for name in ("code", "calibration", "maps"):
            one = region(tables, name)
            one["sectors"] = [{"size_bytes": one["size_bytes"], "count": 1}]
            one["block_id"] = {"code": 1, "calibration": 2}.get(name, 1)
        assert block["block_id"] == 1

    with pytest.raises(ValidationError, match="block_id 1 is used in 2 memories"):
        changed(shared, with_eeprom())


def test_an_address_space_is_told_apart_and_fits_the_request() -> None:
    def beside(offset: int, length: int = 5) -> Callable[[dict[str, Any]], None]:
        def change(tables: dict[str, Any]) -> None:
            (access,) = tables["access"]
            access["address_spaces"] = [{"memory": "eeprom", "offset": offset}]
            access["reading"]["address_bytes"] = access["writing"]["address_bytes"] = length

        return change

    access = changed(beside(0x02_0000_0000), with_eeprom()).best_access
    assert isinstance(access, UdsAccessDefinition)
    assert access.wire_start(Range("eeprom", 0x20_0000, 16)) == 0x02_0020_0000
    assert access.wire_start(Range("flash", 0x20_0000, 16)) == 0x20_0000
    with pytest.raises(ValidationError, match="which nothing tells apart on this wire"):
        changed(beside(0x1000), with_eeprom())
    with pytest.raises(ValidationError, match="does not reach the end of region 'maps'"):
        changed(beside(0x02_0000_0000, 4), with_eeprom())


def test_an_address_space_of_a_memory_out_of_reach_is_refused() -> None:
    def stray(tables: dict[str, Any]) -> None:
        tables["access"][0]["memories"] = ["flash"]

    with pytest.raises(ValidationError, match="this access reaches no memory 'eeprom'"):
        changed(stray, with_eeprom())


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


@pytest.mark.parametrize(
    ("recovery", "reason"),
    [
        ({"first": ["boot"]}, "this access writes no region 'boot'"),
        ({"last": ["nowhere"]}, "this access writes no region 'nowhere'"),
        ({"first": ["code"], "last": ["code"]}, "first and last name 'code' 2 times"),
        ({"rewrite_last": True}, "rewrite_last needs 'last'"),
        ({"block_order": "random"}, "block_order"),
    ],
)
def test_an_order_of_blocks_that_no_write_could_keep_is_refused(
    recovery: dict[str, Any], reason: str
) -> None:
    def ordered(tables: dict[str, Any]) -> None:
        tables["access"][0]["recovery"].update(recovery)

    with pytest.raises(ValidationError, match=re.escape(reason)):
        changed(ordered)


def test_an_order_against_the_dependencies_is_refused() -> None:
    def against(tables: dict[str, Any]) -> None:
        region(tables, "code")["depends_on"] = ["calibration"]
        tables["access"][0]["recovery"]["first"] = ["code"]

    with pytest.raises(ValidationError, match="has to come behind itself"):
        changed(against)


def test_any_order_of_an_earlier_definition_is_the_usual_one_and_others_are_told_in_words() -> None:
    def of_an_earlier_build(tables: dict[str, Any]) -> None:
        tables["access"][0]["recovery"]["block_order"] = "any"

    def of_this_build(tables: dict[str, Any]) -> None:
        tables["access"][0]["recovery"].update(
            block_order="descending", first=["code"], last=["calibration"], rewrite_last=True
        )

    assert changed(of_an_earlier_build).digest() == E400.digest()
    told = "\n".join(in_words(changed(of_this_build)))
    assert "from the highest address down" in told
    assert "before all other regions: code" in told and "behind all other regions: calibration" in told
    assert "the last block of calibration ends every write" in told


def _one_run(tables: dict[str, Any], size_bytes: int, runs: int) -> None:
    """The code in sectors of that size, as many as 64 Ki in each run."""
    code = region(tables, "code")
    tables["memories"][0]["page_bytes"] = size_bytes
    code["sectors"] = [{"size_bytes": size_bytes, "count": 1 << 16}] * runs
    code["size_bytes"] = size_bytes * runs << 16


def _many_regions(tables: dict[str, Any]) -> None:
    """In two memories, so that neither has too many by itself."""
    for name, base in (("one", 0), ("two", 0x10_0000)):
        regions = [
            {**region(tables, "code"), "name": f"{name}_{number}", "start": base + number * 256,
             "size_bytes": 256, "sectors": [{"size_bytes": 256, "count": 1}], "memory": name}
            for number in range(150)
        ]  # fmt: skip
        tables["memories"].append({"name": name, "page_bytes": 256, "regions": regions})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tables: _one_run(tables, 16, 4), "sectors are more than the 65536"),
        (lambda tables: _one_run(tables, 16, 256), "sectors are more than the 65536"),
        (_many_regions, "regions are more than the 256"),
    ],
)
def test_what_no_list_and_no_write_could_hold_is_refused(
    change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    """16 million sectors fit in a file of 9 kB, and the list of definitions names each of them."""
    with pytest.raises(ValidationError, match=reason):
        changed(change)
