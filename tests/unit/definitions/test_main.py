"""`python -m appliance.definitions`: what it prints, and exit codes that tell the truth."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.definitions.__main__ import main
from appliance.definitions.loader import PACKS, USER_DIR_VARIABLE, load_definition
from appliance.definitions.support import support_page

E400 = PACKS / "pbx-e400.toml"
ROOT = Path(__file__).parents[3]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(USER_DIR_VARIABLE, str(tmp_path))
    return tmp_path


def test_check_says_ok_with_the_digest(capsys: Capture) -> None:
    assert main(["check", str(E400)]) == 0
    assert capsys.readouterr().out == f"{E400}: ok, pbx-e400, sha256 {load_definition(E400).digest()}\n"


def test_check_goes_on_after_a_refused_file_and_fails(capsys: Capture, tmp_path: Path) -> None:
    assert main(["check", str(tmp_path / "none.toml"), str(E400)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{E400}: ok")
    assert f"{tmp_path / 'none.toml'}: cannot be read" in err
    assert "DEFINITION_INVALID: " in err


def test_check_refuses_an_id_that_is_taken(capsys: Capture, tmp_path: Path, e400: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("one.toml", "two.toml"):
        (elsewhere / name).write_text(e400.replace('id = "pbx-e400"', 'id = "my-own"'), "utf-8")
    (elsewhere / "three.toml").write_text(e400, "utf-8")
    assert main(["check", *map(str, sorted(elsewhere.iterdir()))]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{elsewhere / 'one.toml'}: ok")
    assert f"{elsewhere / 'two.toml'}: id: 'my-own' is taken by {elsewhere / 'one.toml'}" in err
    assert f"{elsewhere / 'three.toml'}: id: 'pbx-e400' is taken by {E400}" in err


def test_check_accepts_a_file_of_the_users_own_directory(own_dir: Path, e400: str) -> None:
    mine = own_dir / "mine.toml"
    mine.write_text(e400.replace('id = "pbx-e400"', 'id = "my-own"'), "utf-8")
    assert main(["check", str(mine)]) == 0


def test_list_shows_every_definition_with_its_badge(capsys: Capture) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in out] == [
        [path.stem, "simulated"] for path in sorted(PACKS.glob("*.toml"))
    ]


def test_list_for_machines_holds_the_refused_files(capsys: Capture, own_dir: Path) -> None:
    (own_dir / "broken.toml").write_text("", "utf-8")
    assert main(["list", "--json"]) == 1
    listing = json.loads(capsys.readouterr().out)
    first = listing["definitions"][0]
    assert (first["id"], first["size_bytes"], first["evidence"]) == ("pbx-e400", 4 << 20, "simulated")
    assert first["sha256"] == load_definition(E400).digest()
    assert listing["refused"][0]["details"] == [f"{own_dir / 'broken.toml'}: is empty"]


def test_list_for_people_says_what_was_refused_and_fails(capsys: Capture, own_dir: Path) -> None:
    (own_dir / "broken.toml").write_text("", "utf-8")
    assert main(["list"]) == 1
    out, err = capsys.readouterr()
    assert "pbx-e400" in out
    assert f"{own_dir / 'broken.toml'}: is empty" in err


def test_support_prints_the_page(capsys: Capture) -> None:
    assert main(["support"]) == 0
    assert capsys.readouterr().out == support_page()


def test_the_committed_page_is_fresh() -> None:
    committed = (ROOT / "docs" / "support.md").read_text("utf-8")
    assert committed == support_page(), "run: python -m appliance.definitions support > docs/support.md"


def test_the_page_does_not_depend_on_the_users_own_files(own_dir: Path, e400: str) -> None:
    before = support_page()
    (own_dir / "mine.toml").write_text(e400.replace('id = "pbx-e400"', 'id = "my-own"'), "utf-8")
    assert support_page() == before


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "appliance.definitions", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


def test_wrong_usage_exits_with_2() -> None:
    ended = run("chek")
    assert ended.returncode == 2
    assert "invalid choice" in ended.stderr


def test_a_refused_file_exits_with_1(tmp_path: Path) -> None:
    ended = run("check", str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{tmp_path}: is not a regular file\n")
