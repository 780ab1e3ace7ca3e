"""Writing a definition: a file to begin with, an old one made new, one in words, and the page of all keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.definitions.__main__ import main
from appliance.definitions.access import protocols
from appliance.definitions.fields_told import meanings, tables_in
from appliance.definitions.loader import PACKS, USER_DIR_VARIABLE, load_definition
from appliance.definitions.reference import reference_page
from appliance.definitions.schema import Definition
from appliance.definitions.skeleton import skeleton
from tests.support.definitions import raw

ROOT = Path(__file__).parents[3]
SCHEMA_1 = Path(__file__).with_name("schema1")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(USER_DIR_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("protocol", sorted(protocols()))
def test_a_skeleton_loads_and_claims_nothing(protocol: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["new", "--protocol", protocol]) == 0
    path = tmp_path / "mine.toml"
    path.write_text(capsys.readouterr().out, "utf-8")
    (access,) = load_definition(path).accesses
    assert (access.protocol, access.evidence, access.prefer) == (protocol, "unproven", None)


def test_a_skeleton_tells_every_key_of_its_access() -> None:
    lines = skeleton("uds").splitlines()
    for table, model in tables_in(protocols()["uds"]):
        for key, told in meanings(model).items():
            if table not in ("wiring", "steps", "entry"):
                assert f"# {told}" in lines, f"{table}.{key}"


def test_a_skeleton_of_an_unknown_protocol_is_wrong_usage(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["new", "--protocol", "smoke-signals"])
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(SCHEMA_1.glob("*.toml")), ids=lambda path: path.stem)
def test_an_upgraded_file_says_what_the_old_one_said(path: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["upgrade", str(path)]) == 0
    new = tmp_path / "new.toml"
    new.write_text(capsys.readouterr().out, "utf-8")
    assert "schema_version = 2" in new.read_text("utf-8")
    assert load_definition(new) == load_definition(path)


def test_a_file_of_the_present_schema_is_written_as_it_is(tmp_path: Path, capsys: Capture) -> None:
    assert main(["upgrade", str(PACKS / "pbx-e400.toml")]) == 0
    new = tmp_path / "new.toml"
    new.write_text(capsys.readouterr().out, "utf-8")
    assert raw(load_definition(new)) == raw(load_definition(PACKS / "pbx-e400.toml"))


def test_an_upgrade_beside_the_file_replaces_nothing(tmp_path: Path, capsys: Capture) -> None:
    old = tmp_path / "mine.toml"
    old.write_text((SCHEMA_1 / "pbx-x050.toml").read_text("utf-8"), "utf-8")
    before = old.read_bytes()
    assert main(["upgrade", "--beside", str(old)]) == 0
    assert load_definition(tmp_path / "mine.schema2.toml") == load_definition(old)
    assert main(["upgrade", "--beside", str(old)]) == 1
    assert "File exists" in capsys.readouterr().err
    assert old.read_bytes() == before


def test_a_wrong_file_is_not_upgraded(tmp_path: Path, capsys: Capture) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text((SCHEMA_1 / "pbx-x050.toml").read_text("utf-8").replace("min_v", "min"), "utf-8")
    assert main(["upgrade", str(wrong)]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert "voltage.min: unit missing: did you mean min_v?" in err


def test_a_definition_in_words(capsys: Capture) -> None:
    assert main(["explain", "pbx-x050"]) == 0
    told = capsys.readouterr().out
    for text in (
        "memory flash: 256 KiB, erased to 0xFF",
        "boot (boot) at 0x00000000, 32 KiB in 8 sectors, is never written",
        "access obd: obd over uds, simulated",
        "wire: CAN 500 kbit/s, normal 7E0/7E8",
        "recognised by: hw PBX-X050-*",
        "proof: the ECU hashes each block, and the box compares",
        "interrupted: it may be silent after an interrupted write: the bench finishes it",
        "checksum 1: crc32-at over calibration",
        "access bench: bench over uds, simulated",
        "  pin 1 to ground of the bench supply (First of all wires:",
        "  entry: ask for each wire",
        "  entry: ground and supply wire closed, 1.2 to 4.5 V at the probe",
        "  afterwards: ignition off, below 0.15 A",
        "recommended: bench. The supply is the box's own",
        "assumed, not known:",
    ):
        assert text in told, text


def test_what_is_not_there_is_not_explained(capsys: Capture) -> None:
    assert main(["explain", "pbx-none"]) == 1
    assert "DEFINITION_UNKNOWN" in capsys.readouterr().err


def test_every_key_has_its_meaning() -> None:
    def untold(model: type) -> list[str]:
        missing = [f"{model.__name__}.{name}" for name in model.model_fields if name not in meanings(model)]
        return missing + [one for _, inner in tables_in(model) for one in untold(inner)]

    assert untold(Definition) == []


def test_the_committed_page_of_keys_is_fresh() -> None:
    committed = (ROOT / "docs" / "definitions.md").read_text("utf-8")
    stale = "run: python -m appliance.definitions reference > docs/definitions.md"
    assert committed == reference_page(), stale


def test_a_module_that_nobody_wrote_is_refused(tmp_path: Path, capsys: Capture) -> None:
    wrong = tmp_path / "wrong.toml"
    text = (PACKS / "pbx-e400.toml").read_text("utf-8").replace('"pbx-e400"', '"my-own"')
    wrong.write_text(text.replace('module = "crc32-at"', 'module = "crc32-sat"'), "utf-8")
    assert main(["check", str(wrong)]) == 1
    told = "checksums[0]: no checksum module is called 'crc32-sat'; did you mean 'crc32-at'?"
    assert f"{wrong}: {told}" in capsys.readouterr().err
