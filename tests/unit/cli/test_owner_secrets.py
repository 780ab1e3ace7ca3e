"""secrets: what an owner hands in goes to the engine, and nothing of it to the screen."""

from __future__ import annotations

import json
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from appliance.cli.exits import Exit
from appliance.cli.main import main
from tests.unit.cli.fake_engine import FakeEngine

TOLD = {
    "definition": "pbx-v381",
    "name": "payload_key",
    "role": "key",
    "about": "The key of its payloads.",
    "stored": True,
}
VALUE = b"\x00\xffnot a text\n"


def answering(engine: FakeEngine, told: object) -> None:
    engine.answers["/v1/secrets/payload_key"] = (201, json.dumps(told).encode())


@pytest.mark.parametrize("from_input", [False, True])
def test_a_secret_is_handed_in_and_never_shown(
    engine: FakeEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    from_input: bool,
) -> None:
    answering(engine, TOLD)
    file = tmp_path / "key.bin"
    file.write_bytes(VALUE)
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(VALUE)))
    typed = ["secrets", "put", "payload_key", "-" if from_input else str(file)]
    assert main([*typed, "--definition", "pbx-v381"]) == Exit.DONE
    assert ("POST /v1/secrets/payload_key?definition=pbx-v381", VALUE) in engine.asked
    told = capsys.readouterr()
    assert "sealed on this box" in told.out and "not a text" not in told.out + told.err
    assert ("still lies in the clear" in told.out) != from_input


def test_a_person_may_have_it_take_anothers_place(engine: FakeEngine, tmp_path: Path) -> None:
    answering(engine, TOLD)
    file = tmp_path / "key.bin"
    file.write_bytes(VALUE)
    assert main(["secrets", "put", "payload_key", str(file), "--replace"]) == Exit.DONE
    assert ("POST /v1/secrets/payload_key?replace=true", VALUE) in engine.asked


@pytest.mark.parametrize("content", [b"", bytes((1 << 20) + 1), None])
def test_what_is_no_secret_does_not_leave_this_machine(
    engine: FakeEngine, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "key.bin"
    if content is not None:
        file.write_bytes(content)
    assert main(["secrets", "put", "payload_key", str(file)]) != Exit.DONE
    assert not any("secrets" in path for path, _ in engine.asked)


def test_the_list_has_what_is_missing_and_the_way_to_it(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [TOLD, TOLD | {"name": "payload_iv", "stored": False}]
    engine.answers["/v1/secrets"] = (200, json.dumps(found).encode())
    assert main(["secrets", "list"]) == Exit.DONE
    told = capsys.readouterr().out
    assert "✔ pbx-v381  payload_key" in told and "- pbx-v381  payload_iv" in told
    assert "pitbox secrets put NAME FILE" in told


def test_nothing_is_wiped_unless_somebody_says_yes(engine: FakeEngine) -> None:
    answering(engine, TOLD | {"stored": False})
    assert main(["secrets", "remove", "payload_key"]) == Exit.REFUSED
    assert not any(path.startswith("DELETE") for path, _ in engine.asked)
    assert main(["secrets", "remove", "payload_key", "--yes"]) == Exit.DONE
    assert ("DELETE /v1/secrets/payload_key", b"") in engine.asked
