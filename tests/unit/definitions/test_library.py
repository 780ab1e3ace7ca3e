"""Where definitions come from, and how an identity finds its own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.definitions.errors import DefinitionError
from appliance.definitions.library import Library
from appliance.definitions.loader import PACKS, USER_DIR_VARIABLE, load_all, load_definition, load_dirs
from appliance.definitions.schema import Definition
from tests.support.definitions import raw, validated, with_access

LIBRARY = load_dirs([PACKS])
PACK_IDS = {path.stem for path in PACKS.glob("*.toml")}
KNOWN = {"hw": "PBX-E400-01", "sw": "E400-SW-0100", "boot": "E400-BL-03"}


@pytest.fixture
def own_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    own = tmp_path / "definitions.d"
    own.mkdir()
    monkeypatch.setenv(USER_DIR_VARIABLE, str(own))
    return own


def renamed(text: str, new_id: str, hw: str = "PBX-E400-0[12]", sw: str = "E400-SW-*") -> str:
    text = text.replace('id = "pbx-e400"', f'id = "{new_id}"')
    return text.replace("PBX-E400-0[12]", hw).replace("E400-SW-*", sw)


def test_the_users_own_directory_adds_to_the_packs(own_dir: Path, e400: str) -> None:
    (own_dir / "mine.toml").write_text(renamed(e400, "my-own"), "utf-8")
    (own_dir / ".mine.toml.swp.toml").write_text("half a file", "utf-8")
    (own_dir / "notes.txt").write_text("not a definition", "utf-8")
    library = load_all()
    assert {definition.id for definition in library} == PACK_IDS | {"my-own"}
    assert len(library) == len(PACK_IDS) + 1
    assert library.file_of("my-own") == own_dir / "mine.toml"
    assert not library.refused


def test_further_directories_come_after_the_users_own(own_dir: Path, tmp_path: Path, e400: str) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "a.toml").write_text(renamed(e400, "from-more"), "utf-8")
    (own_dir / "b.toml").write_text(renamed(e400, "from-own"), "utf-8")
    assert [definition.id for definition in load_all([more])][-2:] == ["from-own", "from-more"]


def test_a_broken_file_is_told_and_costs_no_other_definition(own_dir: Path) -> None:
    (own_dir / "broken.toml").write_text("id = 1", "utf-8")
    library = load_all()
    assert library.get("pbx-e400").id == "pbx-e400"
    (error,) = library.refused
    assert error.details[0].startswith(f"{own_dir / 'broken.toml'}: ")


def test_an_id_that_is_taken_is_refused_and_the_first_stays(own_dir: Path, e400: str) -> None:
    (own_dir / "mine.toml").write_text(e400.replace("12.5", "9.5"), "utf-8")
    library = load_all()
    assert library.get("pbx-e400").best_access.voltage.min_v == 12.5
    assert library.refused[0].details == (
        f"{own_dir / 'mine.toml'}: id: 'pbx-e400' is taken by {PACKS / 'pbx-e400.toml'}",
    )


def test_a_missing_directory_that_was_asked_for_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(USER_DIR_VARIABLE, str(tmp_path / "none"))
    library = load_all()
    assert library.refused[0].details == (f"{tmp_path / 'none'}: cannot be read: No such file or directory",)
    assert len(library) == len(PACK_IDS)


def test_an_unknown_id_names_the_nearest_and_the_refused_files(own_dir: Path) -> None:
    (own_dir / "broken.toml").write_text("", "utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_all().get("pbx-e40")
    assert caught.value.code == "DEFINITION_UNKNOWN"
    assert "Did you mean pbx-e400?" in caught.value.do_now
    assert caught.value.details == (f"{own_dir / 'broken.toml'}: is empty",)


def test_the_most_specific_definition_comes_first(own_dir: Path, e400: str) -> None:
    (own_dir / "exact.toml").write_text(renamed(e400, "exact", sw="E400-SW-0100"), "utf-8")
    (own_dir / "loose.toml").write_text(renamed(e400, "loose", hw="PBX-*"), "utf-8")
    fewer_fields = renamed(e400, "fewer-fields", hw="PBX-E400-01").replace('boot = ["E400-BL-*"]', "")
    (own_dir / "fewer.toml").write_text(fewer_fields, "utf-8")
    found = [way.definition.id for way in load_all().recognise(KNOWN)]
    assert found == ["exact", "pbx-e400", "loose", "fewer-fields"]


@pytest.mark.parametrize("field", ["hw", "sw", "boot"])
def test_an_answer_that_is_missing_or_wrong_recognises_nothing(field: str) -> None:
    assert [way.definition.id for way in LIBRARY.recognise(KNOWN)] == ["pbx-e400"]
    assert LIBRARY.recognise({**KNOWN, field: None}) == []
    assert LIBRARY.recognise({**KNOWN, field: "other"}) == []
    assert LIBRARY.recognise({name: value for name, value in KNOWN.items() if name != field}) == []


@given(hw=st.text(), sw=st.text(), boot=st.none() | st.text())
def test_recognition_takes_any_text(hw: str, sw: str, boot: str | None) -> None:
    for way in LIBRARY.recognise({"hw": hw, "sw": sw, "boot": boot}):
        assert hw.startswith("PBX-"), way.definition.id


def changed(definition: Definition, **update: object) -> Definition:
    return definition.model_copy(update=update)


def test_the_digest_pins_the_content_and_nothing_else(file: Path, e400: str) -> None:
    pack = load_definition(PACKS / "pbx-e400.toml")
    file.write_text(
        "# another comment\n" + e400.replace("target_v = 13.5\n", "").replace("0x7E0", "2016"), "utf-8"
    )
    assert load_definition(file).digest() == pack.digest()
    assert changed(pack, name="other").digest() != pack.digest()
    assert with_access(pack, voltage={"min_v": 12.4}).digest() != pack.digest()
    assert len(bytes.fromhex(pack.digest())) == 32


@pytest.mark.parametrize("field", ["hw", "sw", "boot", "chip_id"])
def test_any_one_number_is_enough_to_recognise_an_ecu_by(field: str) -> None:
    x050 = raw(load_definition(PACKS / "pbx-x050.toml"))
    x050["access"][0]["recognition"] = {field: ["ONLY-THIS-1*"]}
    library = Library()
    library.add(validated(x050), Path("mine.toml"))
    (way,) = library.recognise({field: "ONLY-THIS-17"})
    assert way.definition.id == "pbx-x050"
    assert library.recognise({field: "OTHER"}) == []
    x050["access"][0]["recognition"] = {}
    nameless = Library()
    nameless.add(validated(x050), Path("mine.toml"))
    assert nameless.recognise({field: "ONLY-THIS-17"}) == [], "a person names it"


def test_definitions_that_fit_equally_well_are_rivals() -> None:
    """Two files with patterns of one length: the order of their names must not choose a memory map."""
    library = Library()
    for name, pattern in (("pbx-one", "ECU-1*"), ("pbx-two", "ECU-*1"), ("pbx-three", "ECU-1?7*")):
        pack = raw(load_definition(PACKS / "pbx-x050.toml"))
        pack["id"] = name
        pack["access"][0]["recognition"] = {"hw": [pattern]}
        library.add(validated(pack), Path(f"{name}.toml"))
    alike = {"hw": "ECU-1x1"}
    best = library.recognise(alike)[0]
    assert [way.definition.id for way in library.rivals(best, alike)] == ["pbx-two"]
    told_apart = {"hw": "ECU-117"}
    best = library.recognise(told_apart)[0]
    assert best.definition.id == "pbx-three"
    assert library.rivals(best, told_apart) == []
