"""A job keeps the definition it was begun with, whatever becomes of the packs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import ValidationError

from appliance.contract.errors import PitboxError
from appliance.definitions.access.security import SecurityLevel
from appliance.definitions.access.uds_checking import Checking
from appliance.definitions.access.uds_link import Addressing
from appliance.definitions.access.uds_memory import Writing
from appliance.definitions.checksum import Checksum
from appliance.definitions.errors import DefinitionError
from appliance.definitions.library import Library
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.memory import Region
from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition
from appliance.engine.operations.write import restore
from appliance.engine.pinned import PinnedDefinitions
from tests.support.definitions import with_access, with_regions
from tests.support.garage import Garage, Readied, visit

DEFINITION = load_definition(PACKS / "pbx-x050.toml")


def updated(garage: Garage) -> None:
    """The pack's update arrives: same id, other contents."""
    garage.box.library = Library()
    newer = DEFINITION.model_copy(update={"name": "the same ECU, described anew"})
    garage.box.library.add(newer, PACKS / "pbx-x050.toml")


def removed(garage: Garage) -> None:
    """The pack is gone."""
    garage.box.library = Library()


@pytest.mark.parametrize("happens", [updated, removed])
def test_the_original_goes_back_after_the_pack_changed(slave: Readied, happens: object) -> None:
    async def test(garage: Garage) -> None:
        assert callable(happens)
        happens(garage)
        result = await restore(garage.box, garage.job)
        assert result["result"] == "restored"

    visit(slave, test)


def test_a_damaged_pin_is_not_believed(slave: Readied) -> None:
    for path in (slave.state / "definitions").iterdir():
        path.write_bytes(path.read_bytes().replace(b"pbx-x050", b"pbx-x051"))

    async def test(garage: Garage) -> None:
        updated(garage)
        with pytest.raises(PitboxError) as refusal:
            await restore(garage.box, garage.job)
        assert refusal.value.code == "DEFINITION_CHANGED"
        assert garage.untouched

    visit(slave, test)


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff" * 64, b"[]"])
def test_what_is_not_a_definition_is_none(tmp_path: Path, damage: bytes) -> None:
    pinned = PinnedDefinitions(tmp_path)
    digest = pinned.pin(DEFINITION)
    assert pinned.get(digest) == DEFINITION
    (tmp_path / "definitions" / f"{digest}.json").write_bytes(damage)
    assert pinned.get(digest) == DEFINITION
    (tmp_path / "definitions" / f"{digest}.copy.json").write_bytes(damage)
    assert pinned.get(digest) is None
    assert pinned.get("../../etc/passwd") is None


class Newer(Definition):
    """The schema of a newer build: one optional key more."""

    torque_limit_nm: int | None = None


def test_a_key_added_to_the_schema_bars_no_recovery(slave: Readied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.engine.pinned.Definition", Newer)

    async def test(garage: Garage) -> None:
        removed(garage)
        assert (await restore(garage.box, garage.job))["result"] == "restored"

    visit(slave, test)


def refused(*_: object) -> Iterator[str]:
    yield "stricter than the build that began the job"


STRICTER = [
    (Checking, "misfits"),
    (Checking, "_problems"),
    (Writing, "_problems"),
    (Region, "_problems"),
    (Addressing, "_problems"),
    (SecurityLevel, "_problems"),
    (Checksum, "misfits"),
]


@pytest.mark.parametrize(("table", "check"), STRICTER)
def test_a_stricter_check_bars_new_definitions_and_no_recovery(
    slave: Readied, monkeypatch: pytest.MonkeyPatch, table: type, check: str
) -> None:
    async def test(garage: Garage) -> None:
        removed(garage)
        with monkeypatch.context() as patch:
            patch.setattr(table, check, refused)
            assert (await restore(garage.box, garage.job))["result"] == "restored"
            with pytest.raises(DefinitionError, match="DEFINITION_INVALID") as refusal:
                load_definition(PACKS / "pbx-x050.toml")
            assert "stricter than the build" in refusal.value.details[0]

    visit(slave, test)


@pytest.mark.parametrize(
    "old",
    [
        DEFINITION.model_copy(update={"simulation": None}),
        with_access(DEFINITION, voltage={"target_v": 20.0}),
        with_access(DEFINITION, recovery={"reset_allowed": True}),
        with_access(DEFINITION, bus={"kind": "can-fd"}),
        with_regions(DEFINITION, DEFINITION.regions[:1]),
    ],
    ids=["simulation", "voltage", "recovery", "bus", "regions"],
)
def test_what_no_file_may_say_today_is_still_read_where_it_was_pinned(
    tmp_path: Path, old: Definition
) -> None:
    with pytest.raises(ValidationError):
        definition_from_json(old.canonical())
    pinned = PinnedDefinitions(tmp_path)
    assert pinned.get(pinned.pin(old)) == old


def test_a_definition_this_build_does_not_understand_is_told(tmp_path: Path) -> None:
    pinned = PinnedDefinitions(tmp_path)
    digest = pinned.pin(Newer.model_validate_json(DEFINITION.canonical()))
    with pytest.raises(PitboxError) as refusal:
        pinned.get(digest)
    assert refusal.value.code == "DEFINITION_UNREADABLE"
    assert "torque_limit_nm" in refusal.value.details[0]


def test_the_largest_definition_that_loads_is_read_back(tmp_path: Path) -> None:
    """Filled in, it has more bytes than the file had: it was pinned, and then it was not there."""
    region = DEFINITION.regions[0]
    many = tuple(
        region.model_copy(update={"name": f"r{number}", "start": number * region.size_bytes})
        for number in range(8000)
    )
    pinned = PinnedDefinitions(tmp_path)
    digest = pinned.pin(with_regions(DEFINITION, many))
    path = tmp_path / "definitions" / f"{digest}.json"
    assert path.stat().st_size > 1 << 20
    with suppress(PitboxError):
        assert pinned.get(digest) is not None
