"""What a file says of itself is shown as what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.definitions.__main__ import main
from appliance.definitions.evidence import badge
from appliance.definitions.loader import PACKS, load_definition


def claiming(level: str, path: Path) -> Path:
    text = (PACKS / "pbx-x050.toml").read_text("utf-8").replace('id = "pbx-x050"', 'id = "own-x050"', 1)
    path.write_text(text.replace('evidence = "simulated"', f'evidence = "{level}"'), "utf-8")
    return path


@pytest.mark.parametrize("level", ["bench-proven", "car-proven"])
def test_an_own_file_that_calls_itself_proven_is_shown_as_a_claim(
    level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = load_definition(claiming(level, tmp_path / "own.toml"))
    assert badge(own) == f"{level}: claimed by its file"
    monkeypatch.setenv("PITBOX_DEFINITIONS", str(tmp_path))
    main(["list"])
    main(["list", "--json"])
    plain, listed = capsys.readouterr().out.split("{", 1)
    assert f"{level}: claimed by its file" in plain
    rows = json.loads("{" + listed)["definitions"]
    assert [row["evidence"] for row in rows if row["id"] == "own-x050"] == [f"{level}: claimed by its file"]


@pytest.mark.parametrize("level", ["unproven", "simulated"])
def test_a_level_without_hardware_is_shown_as_it_is(level: str, tmp_path: Path) -> None:
    assert badge(load_definition(claiming(level, tmp_path / "own.toml"))) == level


def test_what_ships_speaks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in PACKS.glob("*.toml"):
        assert "claimed" not in badge(load_definition(path))
