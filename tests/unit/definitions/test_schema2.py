"""Definitions with several memories, accesses and checksums; and what schema 1 becomes of."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from appliance.definitions.access import parse_access, register
from appliance.definitions.access.uds import UdsAccessDefinition, uds_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.parsing import SchemaMismatchError, definition_from_json, pinned_definition
from appliance.definitions.schema import Definition
from appliance.definitions.upgrade import upgraded
from tests.support.definitions import raw, validated

SCHEMA_1 = Path(__file__).with_name("schema1")
NAMES = sorted(path.stem for path in SCHEMA_1.glob("*.toml"))
E400 = load_definition(PACKS / "pbx-e400.toml")
Change = Callable[[dict[str, Any]], None]


def refused(change: Change, pack: Definition = E400) -> str:
    tables = raw(pack)
    change(tables)
    with pytest.raises(ValidationError) as caught:
        validated(tables)
    problems = caught.value.errors()
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_schema_1_says_what_the_pack_of_schema_2_says(name: str) -> None:
    """But for the pages of regions that nobody writes: there the new pack leaves out what the old one did.

    What schema 1 could not say was added since: further accesses, what they assume, and their strap.
    """
    old, new = raw(load_definition(SCHEMA_1 / f"{name}.toml")), raw(load_definition(PACKS / f"{name}.toml"))
    for tables in (old, new):
        for region in tables["memories"][0]["regions"]:
            if not region["writable"]:
                del region["page_bytes"]
        del tables["memories"][0]["page_bytes"]
        tables["access"] = tables["access"][:1]
        del tables["simulation"]["strap_keeps"]
    new["evidence"]["assumptions"] = new["evidence"]["assumptions"][: len(old["evidence"]["assumptions"])]
    assert old == new


@pytest.mark.parametrize("name", NAMES)
def test_what_was_upgraded_is_read_again_as_it_is(name: str) -> None:
    upgrade = load_definition(SCHEMA_1 / f"{name}.toml")
    assert definition_from_json(upgrade.canonical()) == upgrade
    assert pinned_definition(upgrade.canonical()).digest() == upgrade.digest()


def test_bounds_on_erases_are_found_where_they_were_said() -> None:
    old = tomllib.loads((SCHEMA_1 / "pbx-e400.toml").read_text("utf-8"))
    old["erasing"] |= {"most_per_block": 5, "most_in_all": 77}
    (access,) = definition_from_json(json.dumps(old)).accesses
    assert (access.erase_bounds.most_per_block, access.erase_bounds.most_in_all) == (5, 77)


def test_the_method_that_was_recommended_still_is() -> None:
    recommended = load_definition(SCHEMA_1 / "pbx-x050.toml").recommended
    assert recommended.method == "bench"
    assert recommended.reason.startswith("A write over OBD that loses its supply")
    assert E400.recommended.method == "obd"


@pytest.mark.parametrize("version", [3, 99])
def test_a_newer_schema_is_told_as_such(version: int) -> None:
    with pytest.raises(SchemaMismatchError, match=f"schema_version: {version} is of a newer Pitbox"):
        definition_from_json(json.dumps(raw(E400) | {"schema_version": version}))


@pytest.mark.parametrize("key", ["memories", "access", "checksums"])
def test_a_file_of_both_schemas_is_told_as_such(key: str) -> None:
    old = tomllib.loads((SCHEMA_1 / "pbx-e400.toml").read_text("utf-8"))
    with pytest.raises(SchemaMismatchError, match=f"{key}: belongs to schema_version = 2"):
        definition_from_json(json.dumps(old | {key: raw(E400)[key]}))


@pytest.mark.parametrize("tables", [{"evidence": 3}, {"regions": {}}, {"erasing": []}, {"method": "obd"}, {}])
def test_upgrading_what_makes_no_sense_leaves_it_to_the_schema(tables: dict[str, Any]) -> None:
    assert upgraded({"schema_version": 1, **tables})["schema_version"] == 2
    with pytest.raises(ValidationError):
        definition_from_json(json.dumps({"schema_version": 1, **tables}))


def second_memory(start: int = 0x8000_0000, name: str = "external", region: str = "maps") -> dict[str, Any]:
    return {
        "name": name,
        "erased_byte": 0xFF,
        "regions": [
            {
                "name": region,
                "tag": "data",
                "start": start,
                "size_bytes": 0x1000,
                "sectors": [{"size_bytes": 0x1000, "count": 1}],
                "writable": False,
            }
        ],
    }


def test_names_of_memories_and_regions_are_used_once() -> None:
    def same_memory(tables: dict[str, Any]) -> None:
        tables["memories"].append(second_memory(0, name="flash"))

    def same_region(tables: dict[str, Any]) -> None:
        tables["memories"].append(second_memory(0, region="code"))

    assert "memories: Value error, the name 'flash' is used 2 times" in refused(same_memory)
    assert "memories: Value error, the name 'code' is used 2 times" in refused(same_region)


def test_a_memory_of_the_excluded_kinds_is_refused() -> None:
    def immo(tables: dict[str, Any]) -> None:
        tables["memories"].append(second_memory(0, name="immo"))

    assert "Pitbox does not handle immo memory; leave this memory out" in refused(immo)


def test_regions_that_overlap_in_one_memory_are_refused() -> None:
    def overlap(tables: dict[str, Any]) -> None:
        tables["memories"][0]["regions"][0]["start"] += 0x1000

    assert "inside 'code'" in refused(overlap)


def test_an_access_without_a_wire_is_refused() -> None:
    def wireless(tables: dict[str, Any]) -> None:
        del tables["access"][0]["bus"]

    assert "access.0.uds.bus: Field required" in refused(wireless)


def test_a_definition_without_an_access_is_refused() -> None:
    def shut(tables: dict[str, Any]) -> None:
        tables["access"] = []

    assert "access: Value error, there is no access" in refused(shut)


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("kwp1281", "no access of protocol 'kwp1281' is implemented; known here:"),
        ("usd", "no access of protocol 'usd' is implemented; did you mean 'uds'?"),
        (7, "no access of protocol '7' is implemented; known here:"),
        (None, "missing"),
    ],
)
def test_an_access_that_nobody_implements_is_refused(protocol: object, told: str) -> None:
    def other(tables: dict[str, Any]) -> None:
        tables["access"][0]["protocol"] = protocol

    assert f"access.0.protocol: {told}" in refused(other)


def test_uds_is_no_boot_mode() -> None:
    def boot(tables: dict[str, Any]) -> None:
        tables["access"][0]["method"] = "boot"

    assert "access.0.uds.method: Input should be 'obd' or 'bench'" in refused(boot)


def test_accesses_are_told_apart_by_their_names() -> None:
    bench = raw(E400)["access"][0] | {"name": "bench", "method": "bench", "evidence": "unproven"}
    both = validated(raw(E400) | {"access": [*raw(E400)["access"], bench]})
    assert both.access_named("bench").method == "bench"
    assert both.access_named("bench").evidence == "unproven"
    assert uds_access(both).name == "obd"
    with pytest.raises(KeyError):
        both.access_named("boot")

    def twice(tables: dict[str, Any]) -> None:
        tables["access"] *= 2

    assert "the name 'obd' is used 2 times" in refused(twice)


def test_problems_between_tables_are_told_at_the_access_that_has_them() -> None:
    def unreachable(tables: dict[str, Any]) -> None:
        second = json.loads(json.dumps(tables["access"][0])) | {"name": "second"}
        second["reading"]["address_bytes"] = 2
        tables["access"].append(second)

    assert "access.1.reading: address_bytes = 2 does not reach the end" in refused(unreachable)


def test_a_checksum_names_its_region_and_no_foreign_memory() -> None:
    def nowhere(tables: dict[str, Any]) -> None:
        tables["checksums"].append({"module": "crc32-at", "region": "calibration", "memory": "eeprom"})

    assert "checksums.1: no region is called 'calibration' in memory 'eeprom'" in refused(nowhere)


def test_a_protocol_is_one_more_class() -> None:
    class Other(UdsAccessDefinition):
        pass

    with pytest.raises(ValueError, match="'uds' has a definition already"):
        register("uds", Other)
    assert isinstance(parse_access(raw(E400)["access"][0]), UdsAccessDefinition)
