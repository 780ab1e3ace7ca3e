"""Choosing, listing, reporting and exporting jobs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from appliance.cli.choosing import identified, in_danger, readable, writable
from appliance.cli.exits import Exit
from appliance.cli.main import main
from appliance.cli.reporting import report_lines
from appliance.contract.jobs import ECU_IN_DANGER, JobState
from tests.unit.cli.fake_engine import JOB, PREVIEW, FakeEngine, event, operation, snapshot

HALF = JOB | {"id": "4a6f62000002", "state": "interrupted"}
DRAFT = JOB | {"id": "9900ffff0000", "state": "identified", "original": None}
REPORT = {
    "job": JOB["id"],
    "result": "done",
    "definition": "pbx-e400",
    "evidence": "simulated",
    "identity": {
        "hw": "H",
        "sw": "S",
        "boot": None,
        "serial": "1",
        "vin": "V",
        "calid": ["C1", "C2"],
        "cvn": [],
        "bootloader_hw": None,
        "chip_id": None,
    },
    "method": "obd",
    "reads": [{"sha256": "ab" * 32, "bytes": 1 << 20, "seconds": 61.5, "voted_blocks": 2}],
    "sealed": [{"path": "p", "ct_sha256": "c"}],
    "gates": [{"name": "bus_quiet", "verdict": "pass", "detail": "0 %"}],
    "blocks": {"total": 4, "written": 2, "skipped": 2},
    "verify": {"method": "read_back", "blocks": 9, "result": "pass", "sha256": "ef" * 32, "unproven": []},
    "identity_after": None,
    "car_confirmed": [],
    "settled": [],
    "set_aside": [],
    "waived": [],
    "earlier": [],
    "dtcs": {"before": ["P0301-00"], "after": []},
    "voltage": {"min_v": 13.41, "max_v": 13.6, "min_at": 0.0, "max_at": 60.0, "source": "ina226"},
    "wire": {"read_efficiency": 0.97, "write_efficiency": None, "bitrate": 500_000},
    "interruptions": [{"phase": "write", "at_byte": 32_768, "resumed": True}],
    "seconds": 299.0,
}


def refusal(ecu: str) -> dict[str, object]:
    """An error of the engine."""
    return {"code": "ECU_SILENT", "what": "silent", "ecu": ecu, "do_now": "x", "log": None, "details": []}


YES = {"restore": ["--yes"], "recover": ["--yes"]}


def _job_asked(engine: FakeEngine) -> str:
    return next(str(body["job"]) for path, body in engine.asked if path == "POST /v1/operations")


@pytest.mark.parametrize(
    ("verb", "expected"),
    [("dtc", DRAFT["id"]), ("verify", HALF["id"]), ("restore", JOB["id"]), ("recover", HALF["id"])],
)
def test_the_newest_job_that_fits_is_taken(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], verb: str, expected: str
) -> None:
    engine.jobs = [DRAFT, HALF, JOB]
    engine.states = [operation("cancelled")]
    assert main([verb, *YES.get(verb, ())]) == Exit.LEFT
    assert _job_asked(engine) == expected
    assert f"Job {expected}" in capsys.readouterr().err


def test_no_fitting_job_beside_an_open_write_names_its_way_on(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.jobs = [HALF]
    assert main(["restore", "--yes"]) == Exit.REFUSED
    told = capsys.readouterr().err
    assert f"`pitbox recover --job {HALF['id']} --original` puts its original back" in told
    assert "pitbox read" not in told, "which would send here again"


def test_a_unique_beginning_is_enough(engine: FakeEngine) -> None:
    engine.jobs = [DRAFT, HALF, JOB]
    engine.states = [operation("cancelled")]
    main(["verify", "--job", "99"])
    assert _job_asked(engine) == DRAFT["id"]


def test_a_whole_id_is_never_ambiguous(engine: FakeEngine) -> None:
    engine.jobs = [JOB | {"id": JOB["id"] + "00"}, JOB]
    engine.states = [operation("cancelled")]
    main(["verify", "--job", JOB["id"]])
    assert _job_asked(engine) == JOB["id"]


@pytest.mark.parametrize(("asked", "code"), [("4a6f", "JOB_AMBIGUOUS"), ("77", "JOB_UNKNOWN")])
def test_an_unclear_job_is_refused(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], asked: str, code: str
) -> None:
    engine.jobs = [DRAFT, HALF, JOB]
    assert main(["verify", "--job", asked]) == Exit.REFUSED
    assert code in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "next_step"), [("read", "identify"), ("restore", "read"), ("recover", "restore")]
)
def test_no_fitting_job_tells_the_next_step(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], verb: str, next_step: str
) -> None:
    engine.jobs = []
    assert main([verb]) == Exit.REFUSED
    assert f"`pitbox {next_step}`" in capsys.readouterr().err


@pytest.mark.parametrize("state", list(JobState))
def test_a_job_in_danger_is_for_recovery_alone(state: JobState) -> None:
    job = JOB | {"state": state.value}
    assert in_danger(job) == (state in ECU_IN_DANGER)
    if state in ECU_IN_DANGER:
        assert not readable(job)
    if state in ECU_IN_DANGER - {JobState.FLASHING, JobState.VERIFYING}:
        assert not writable(job)
    assert identified(job)


def test_jobs_are_listed_and_danger_is_marked(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.jobs = [HALF, JOB, DRAFT | {"vin": None, "definition": None}]
    assert main(["jobs"]) == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["job", "state", "opened", "definition", "VIN"]
    assert lines[1].startswith("⚠ 4a6f62000002  interrupted")
    assert re.search(r"  (1969-12-31|1970-01-01) \d\d:\d\d +pbx-e400 +PBXTESTCAR0000E40$", lines[1])
    assert lines[2].startswith("  4a6f62000001  read verified")
    assert lines[3].endswith("-")
    assert lines[4] == "Next: `pitbox recover --job 4a6f62000002`"


def test_no_jobs_is_a_beginning(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.jobs = []
    assert main(["jobs"]) == Exit.DONE
    assert "pitbox identify" in capsys.readouterr().out
    assert main(["jobs", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out) == []


def test_watching_ends_with_the_engine(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    failed = operation("failed", error=refusal("untouched"))
    state = {"kind": "state", "job_id": "j", "state": "read_verified"}
    first = snapshot(operation(), state=state)
    tell = engine.stream

    def once() -> bytes:
        engine.dead = True
        return tell()

    engine.stream = once  # type: ignore[method-assign]
    engine.streams = [[first, state, {"kind": "operation", **failed}]]
    assert main(["jobs", "--watch"]) == Exit.NO_ENGINE
    told = capsys.readouterr()
    assert "read: running" in told.err
    assert "Job j is read verified" in told.err
    assert "ECU_SILENT" in told.out


def test_watching_an_idle_box_tells_no_work(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    progress = {"kind": "progress", "job_id": "j", "phase": "verify", "done_bytes": 9, "total_bytes": 9}
    beat = {"kind": "heartbeat", "silent_s": 30.0}
    idle = snapshot(progress=progress)
    ended = {"kind": "operation", **operation("done")}
    tell = engine.stream

    def once() -> bytes:
        engine.dead = True
        return tell()

    engine.stream = once  # type: ignore[method-assign]
    proposal = {"kind": "proposal", "id": "p1", "verb": "write", "what": "consent_withdrawn"}
    engine.streams = [[idle, beat, proposal, {"kind": "operation", **operation()}, ended, beat]]
    main(["jobs", "--watch"])
    told = capsys.readouterr().err
    assert "Proposal p1 (write): consent withdrawn" in told
    assert "The box is idle." in told and "read: done" in told
    assert "Verify" not in told and "working" not in told


def test_watching_as_json_is_a_line_per_event(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    tell = engine.stream

    def once() -> bytes:
        engine.dead = True
        return tell()

    engine.stream = once  # type: ignore[method-assign]
    note = event(kind="note", text="x")
    engine.streams = [[note, note]]
    main(["jobs", "--watch", "--json"])
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines[:2]] == [note, note]


def test_a_report_is_told_in_full(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answers[f"/v1/jobs/{JOB['id']}/report"] = (200, json.dumps(REPORT).encode())
    assert main(["report"]) == Exit.DONE
    told = capsys.readouterr().out
    for part in (
        "Done: every block is proven",
        "Calibration id:     C1, C2",
        "Read 1: 1.00 MiB in 1:01",
        "2 pieces settled by vote",
        "✔ bus quiet  0 %",
        "2 of 4 blocks written, 2 already right",
        "9 blocks proven by reading back",
        "Interrupted: Write at 32.0 KiB, taken up again",
        "Fault codes before: P0301-00; after: none",
        "13.41 to 13.60 V",
        "read 97 %, write -",
        "Time on the ECU: 4:59",
    ):
        assert part in told
    assert main(["report", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out) == REPORT


def test_a_report_of_nothing_yet_is_told(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    empty = REPORT | {
        "result": "interrupted",
        "reads": [],
        "sealed": [],
        "gates": [],
        "blocks": {"total": 4, "written": 1, "skipped": None},
        "verify": None,
        "dtcs": {"before": None, "after": None},
        "voltage": None,
        "interruptions": [{"phase": "write", "at_byte": 0, "resumed": False}],
    }
    engine.answers[f"/v1/jobs/{JOB['id']}/report"] = (200, json.dumps(empty).encode())
    assert main(["report"]) == Exit.DONE
    told = capsys.readouterr().out
    assert "INTERRUPTED: the ECU is half written" in told
    assert "1 of 4 blocks written, not finished" in told
    assert "OPEN" in told
    assert "before: not read" in told


def test_an_export_is_for_its_owner_alone(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answers[f"/v1/jobs/{JOB['id']}/export"] = (200, b":00000001FF\n")
    target = tmp_path / "original.hex"
    assert main(["export", "-o", str(tmp_path / "shown")]) == Exit.DONE
    assert (
        "Next: have a copy of it tuned, then `pitbox write COPY --made-from file-1`"
        in capsys.readouterr().out
    )
    assert main(["export", "--format", "ihex", "-o", str(target), "--json"]) == Exit.DONE
    told = json.loads(capsys.readouterr().out)
    assert target.read_bytes() == b":00000001FF\n"
    assert target.stat().st_mode & 0o777 == 0o600
    assert (told["file"], told["bytes"]) == (str(target), 12)
    assert engine.asked[-1][0].endswith("/export?format=ihex")


def test_an_export_never_overwrites(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answers[f"/v1/jobs/{JOB['id']}/export"] = (200, b"new")
    target = tmp_path / "original.bin"
    target.write_bytes(b"old")
    assert main(["export", "-o", str(target)]) == Exit.REFUSED
    assert target.read_bytes() == b"old"
    assert "FILE_NOT_MADE" in capsys.readouterr().err


ORIGINAL = {"file": "f-1", "definition": "pbx-e400", "hw": "PBX-E400-01", "sw": "E400-SW-0100", "boot": None}


def test_originals_are_listed_without_a_job(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answers["/v1/originals"] = (200, json.dumps([ORIGINAL]).encode())
    assert main(["originals"]) == Exit.DONE
    assert "f-1" in (shown := capsys.readouterr().out) and "PBX-E400-01" in shown
    assert "Next: `pitbox restore`" in shown
    engine.answers["/v1/originals"] = (200, b"[]")
    assert main(["originals"]) == Exit.DONE
    assert "pitbox read" in capsys.readouterr().out


def test_a_lost_journal_is_recovered_from_by_definition_and_file(engine: FakeEngine) -> None:
    engine.jobs = []
    engine.states = [operation("failed", "recover", error=refusal("unknown"))]
    assert main(["recover", "--definition", "pbx-e400", "--file", "f-1", "--yes"]) == Exit.HALF_WRITTEN
    asked = next(body for path, body in engine.asked if path == "POST /v1/operations")
    assert asked.pop("confirmed") == PREVIEW["digest"]
    assert asked == {"verb": "recover", "definition": "pbx-e400", "file": "f-1"}
    (previewed,) = engine.previews
    assert previewed == {**asked, "verb": "preview", "of": "recover"}, "what is confirmed is what is done"


@pytest.mark.parametrize("state", [JobState.FLASHING, JobState.VERIFYING, JobState.RECOVERING])
def test_a_write_that_is_running_is_to_be_watched_not_recovered(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], state: JobState
) -> None:
    engine.jobs = [JOB | {"state": state.value}]
    main(["jobs"])
    told = capsys.readouterr().out
    assert "Next: `pitbox jobs --watch`" in told
    assert "recover" not in told.partition("Next:")[2]


def test_a_report_calls_no_read_of_a_tuned_ecu_its_original() -> None:
    before = {"file": "file-0", "job": "first"}
    told = "\n".join(report_lines(REPORT | {"result": "restored", "original_before": before}))
    assert "its own original again" not in told
    assert "`pitbox restore --job first`" in told and "file-0" in told
    plain = "\n".join(report_lines(REPORT | {"result": "restored", "original_before": None}))
    assert "its own original again" in plain
