"""The summary before a write, and what is refused before anything is asked of the ECU."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from appliance.cli.confirming import summary_lines
from appliance.cli.exits import Exit
from appliance.cli.main import main
from tests.unit.cli.fake_engine import JOB, PREVIEW, FakeEngine, operation


@pytest.fixture
def tuned(tmp_path: Path) -> str:
    (tmp_path / "tuned.bin").write_bytes(b"tuned")
    return str(tmp_path / "tuned.bin")


def test_the_summary_names_car_vin_file_and_every_change() -> None:
    told = "\n".join(summary_lines(PREVIEW, "tuned.bin"))
    for part in (
        "PBX E400  [pbx-e400, evidence: simulated]",
        f"VIN:   {JOB['vin']}",
        "tuned.bin, abababab",
        "calibration (flash 0x60000 to 0x9FFFF): 1,234 bytes change, from 0x61000 to 0x62FFF",
        "Counted against the original",
        "First: Connect a support unit.",
    ):
        assert part in told
    assert "code" not in told, "what does not change is not told"


def test_the_summary_tells_what_its_reader_states() -> None:
    stated = {"car": "VIN9", "engine_off": True, "more_erases": True, "correct_checksums": True}
    told = "\n".join(summary_lines(PREVIEW | {"asked": stated}))
    for part in ("this is the car VIN9", "the engine is off", "erased as often again", "put checksums right"):
        assert part in told
    assert "You:" not in "\n".join(summary_lines(PREVIEW))


def test_whoever_consents_sees_what_was_stated_of_the_file() -> None:
    stated = {
        "use": "road_compliant",
        "changed_regions": ["code", "calibration"],
        "made_from": "c9fb01e9",
        "memory": "eeprom",
        "access": "bench-flash",
    }
    told = "\n".join(summary_lines(PREVIEW | {"asked": stated}))
    for part in (
        "the file is for road compliant",
        "let bytes differ in code, calibration",
        "made from c9fb01e9",
        "of the memory eeprom",
        "over the access bench-flash",
    ):
        assert part in told


def test_an_ecu_that_tells_no_vin_is_said_to() -> None:
    assert "VIN:   not told by this ECU" in "\n".join(summary_lines(PREVIEW | {"vin": None}))


def test_a_rescue_without_a_job_does_not_speak_for_an_ecu_that_nobody_asked() -> None:
    told = "\n".join(summary_lines(PREVIEW | {"vin": None, "job": None}))
    assert "not told" not in told
    assert "VIN:   compared with the original's before any erase" in told


def test_a_recovery_tells_where_it_may_write() -> None:
    region = PREVIEW["regions"][0] | {"changed_bytes": None}
    found = PREVIEW | {"verb": "recover", "compared_with": None, "regions": [region]}
    assert "calibration (flash 0x60000 to 0x9FFFF): what differs of its 4 blocks" in "\n".join(
        summary_lines(found)
    )


@pytest.mark.parametrize("verb", ["write", "restore", "recover"])
def test_without_a_terminal_and_without_yes_nothing_is_started(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], tuned: str, verb: str
) -> None:
    engine.jobs = [JOB | {"state": "interrupted" if verb == "recover" else "read_verified"}]
    assert main([verb, *([tuned] if verb == "write" else [])]) == Exit.REFUSED
    told = capsys.readouterr().err
    assert "NOT_CONFIRMED" in told
    assert "--yes" in told
    assert engine.previews[0]["of"] == verb
    assert not any(path == "POST /v1/operations" for path, _ in engine.asked)


def test_a_file_that_will_be_refused_is_shown_all_its_gates(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], tuned: str
) -> None:
    engine.preview = PREVIEW | {
        "refused": ["signatures"],
        "gates": [{"name": "signatures", "verdict": "fail", "detail": "they do not hold"}],
        "target_sha256": None,
    }
    engine.states = [operation("cancelled")]
    assert main(["write", tuned]) == Exit.LEFT
    assert "✘ The checks will refuse it: signatures: they do not hold" in capsys.readouterr().err
    started = next(body for path, body in engine.asked if path == "POST /v1/operations")
    assert started["confirmed"] == PREVIEW["digest"], "refused or not: it is what was shown"


@pytest.mark.parametrize(
    "arguments",
    [
        ["recover", "--file", "f-1"],
        ["recover", "--definition", "pbx-e400", "--job", "4a6f"],
        ["recover", "--definition", "pbx-e400", "--original"],
        ["recover", "--definition", "pbx-e400", "--more-erases"],
        ["dtc", "--car", "VIN"],
        ["--socket", "/s", "demo"],
    ],
)
def test_an_option_that_would_not_be_used_is_wrong_usage(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == Exit.USAGE
    assert "OPTION_UNUSED" in capsys.readouterr().err
    assert not any(path == "POST /v1/operations" for path, _ in engine.asked)
    assert not engine.previews


@pytest.mark.parametrize("kind", ["fifo", "endless"])
def test_a_file_without_an_end_is_not_read(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = tmp_path / "fifo" if kind == "fifo" else Path("/dev/zero")
    if kind == "fifo":
        os.mkfifo(path)
    assert main(["write", "--yes", str(path)]) == Exit.REFUSED
    assert "is no regular file" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["jobs"], ["originals"], ["recover"], ["--quiet", "jobs"]])
def test_an_open_write_stands_above_every_command(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    write = {
        "job": "j9",
        "vin": "VIN9",
        "definition": "p",
        "hw": None,
        "state": "interrupted",
        "half_written": True,
    }
    engine.answers["/v1/safety"] = (200, json.dumps({"ecu": "half_written", "open_writes": [write]}).encode())
    engine.answers["/v1/originals"] = (200, b"[]")
    main(arguments)
    told = capsys.readouterr().err
    assert "HALF WRITTEN: VIN VIN9 (job j9)" in told
    assert "`pitbox recover --job j9 --original`" in told


WAIVED = ["restore", "--yes", "--waive", "engine_off", "--by", "A. Smith", "--reason", "stood beside it"]


def test_a_waiver_is_sent_with_its_name_and_reason(engine: FakeEngine) -> None:
    engine.states = [operation("cancelled")]
    assert main(WAIVED) == Exit.LEFT
    asked = next(body for path, body in engine.asked if path == "POST /v1/operations")
    told = {"gate": "engine_off", "by": "A. Smith", "reason": "stood beside it"}
    assert asked["waivers"] == [told]
    assert engine.previews[0]["waivers"] == [told]
    summary = "\n".join(summary_lines(PREVIEW | {"asked": {"waivers": [told]}}))
    assert "set the gate engine_off aside, as A. Smith: stood beside it" in summary


@pytest.mark.parametrize("left_out", ["--waive", "--by", "--reason"])
def test_a_waiver_without_a_gate_a_name_or_a_reason_is_none(engine: FakeEngine, left_out: str) -> None:
    at = WAIVED.index(left_out)
    assert main([*WAIVED[:at], *WAIVED[at + 2 :]]) == Exit.USAGE
    assert not any("operations" in path for path, _ in engine.asked)


def test_a_copy_of_the_original_is_handed_in_with_a_recovery(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], tuned: str
) -> None:
    engine.jobs = [JOB | {"state": "interrupted"}]
    engine.preview = PREVIEW | {"verb": "recover", "kind": "original"}
    engine.states = [operation("cancelled", "recover")]
    assert main(["recover", "--from", tuned, "--yes"]) == Exit.LEFT
    data = Path(tuned).read_bytes()
    assert ("POST /v1/uploads", data) in engine.asked
    started = next(body for path, body in engine.asked if path == "POST /v1/operations")
    assert started["verb"] == "recover" and started["upload"]
    assert engine.previews[0]["upload"] == started["upload"]
    assert f"sealed file, as in {Path(tuned).name}" in capsys.readouterr().err
