"""Unlocks whose secret is named: checked when the file is loaded, told in words, never told by value."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.definitions.__main__ import main
from appliance.definitions.access import protocols
from appliance.definitions.explaining import in_words
from appliance.definitions.loader import PACKS, USER_DIR_VARIABLE, load_definition
from appliance.definitions.skeleton import skeleton

V381 = (PACKS / "pbx-v381.toml").read_text("utf-8")
REAL = V381[: V381.index("[simulation]")].replace('"simulated"', '"unproven"')
"""The same ECU, as if nobody had invented it."""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USER_DIR_VARIABLE, str(tmp_path))


def problems(tmp_path: Path, capsys: Capture, text: str) -> str:
    path = tmp_path / "pbx-v381.toml"
    path.write_text(text.replace('id = "pbx-v381"', 'id = "my-own"'), "utf-8")
    return "" if main(["check", str(path)]) == 0 else capsys.readouterr().err


def test_a_real_ecu_names_its_secret(tmp_path: Path, capsys: Capture) -> None:
    assert problems(tmp_path, capsys, REAL) == ""


UNLOCK = 'secret = "unlock_script"'
TABLE = V381[V381.index('[[secrets]]\nname = "unlock_script"') : V381.index("[simulation]")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            REAL.replace(UNLOCK, 'script = "4C"').replace(TABLE, ""),
            "access 'obd': script stands in write_security, and this ECU has no [simulation]: set secret",
        ),
        (REAL.replace(UNLOCK, 'secret = "other"').replace(TABLE, ""), "no [[secrets]] is called 'other'"),
        (V381.replace(UNLOCK, UNLOCK + '\nscript = "4C"'), "script and secret exclude each other"),
        (REAL.replace(UNLOCK, 'secret = "no such"'), "secret: string should match pattern"),
        (
            REAL.replace('role = "unlock"', 'role = "key"'),
            "the secret 'unlock_script' has role = 'unlock' if it answers a seed, and only then",
        ),
        (
            REAL.replace('role = "iv"', 'role = "unlock"'),
            "the secret 'payload_iv' has role = 'unlock' if it answers a seed, and only then",
        ),
        (
            REAL.replace('"sa2"', '"toy-xor"'),
            "the secret 'unlock_script' has least_bytes = most_bytes = 4",
        ),
        (V381.replace("\nunlock_script = ", "\nlock_script = "), "differ in 'lock_script'"),
    ],
    ids=["inline", "unknown", "both", "no name", "role", "other role", "length", "twin"],
)
def test_what_cannot_be_resolved_is_refused(tmp_path: Path, capsys: Capture, text: str, why: str) -> None:
    assert text not in (V381, REAL)
    assert why in problems(tmp_path, capsys, text)


def test_in_words_its_name_and_never_its_value() -> None:
    definition = load_definition(PACKS / "pbx-v381.toml")
    told = "\n".join(in_words(definition))
    assert "to write: unlock 0x11 by sa2 with the owner's unlock_script" in told
    assert "of the owner: unlock_script (unlock), the SA2 script of this ECU" in told
    assert not any(value in told for value in definition.twin.secrets.values())


def test_an_inline_value_is_not_told_either() -> None:
    told = "\n".join(in_words(load_definition(PACKS / "pbx-s18.toml")))
    assert "to write: unlock 0x11 by sa2\n" in told and "68059350" not in told


@pytest.mark.parametrize("protocol", sorted(protocols()))
def test_a_new_file_names_a_secret(protocol: str) -> None:
    text = skeleton(protocol)
    assert 'secret = "unlock"' in text and "[[secrets]]\n# Name by which" in text
    assert "constant = " not in text.replace("# constant", "")
