"""Operations followed to their end, against an engine that is told what to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.client import EngineClient
from appliance.cli.exits import Exit
from appliance.cli.main import main
from appliance.cli.operation_client import perform
from appliance.cli.problems import CancelledError, LeftRunningError
from appliance.contract.errors import EcuSafety, ErrorTold, PitboxError
from appliance.contract.results import ReadDone, Written
from tests.unit.cli.fake_engine import IDLE, JOB, PREVIEW, FakeEngine, event, operation, snapshot

READ_RESULT = {
    "job": JOB["id"],
    "file": "file-1",
    "full": True,
    "reads": [{"sha256": "ab" * 32, "bytes": 4096, "seconds": 61.0, "voted_blocks": 0}] * 2,
    "sealed": [{"path": "x", "ct_sha256": "cd" * 32}],
    "read_efficiency": 0.96,
}
WRITE_RESULT = {
    "job": JOB["id"],
    "result": "done",
    "blocks": {"total": 16, "written": 3, "skipped": 13},
    "verify": {"method": "hash", "blocks": 38, "result": "pass", "sha256": "ef" * 32, "unproven": []},
    "write_efficiency": 0.9,
    "dtcs_after": ["P0301-00"],
    "rituals": [],
    "left_out": [],
    "identity_after": {
        "hw": JOB["hw"],
        "sw": JOB["sw"],
        "boot": None,
        "serial": None,
        "vin": JOB["vin"],
        "compared": ["hw", "vin"],
        "known_by": "vin",
    },
}
GATES = [
    {"name": "checksum", "verdict": "unknown", "detail": "no module"},
    {"name": "signatures", "verdict": "pass", "detail": "signed"},
    {"name": "length", "verdict": "fail", "detail": "16 bytes too many"},
]
GATES_EVENT = {"kind": "gates", "job_id": JOB["id"], "gates": GATES}
RUNNING = snapshot(operation())


def progress(done: int, phase: str = "read_1") -> dict[str, Any]:
    return {
        "kind": "progress",
        "job_id": JOB["id"],
        "phase": phase,
        "done_bytes": done,
        "total_bytes": 4096,
        "bytes_per_s": 28_000.0,
        "wire_share": 0.95,
        "eta_s": 3.0,
        "voltage": {"volts": 13.5, "age_s": 0.1, "source": "ina226"},
    }


def failure(code: str, ecu: EcuSafety, details: tuple[str, ...] = ()) -> dict[str, Any]:
    error = PitboxError(code, "it went wrong", do_now="Do this.", log="/log", details=details)
    error.ecu = ecu
    return operation("failed", error=error.as_dict())


def test_a_read_is_followed_and_told(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    over = operation("done", result=READ_RESULT)
    engine.states = [operation(), over]
    engine.streams = [[RUNNING, progress(1024), progress(4096), {"kind": "operation", **over}]]
    assert main(["read", "--regions", "a, b"]) == Exit.DONE
    told = capsys.readouterr()
    assert "✔ Both reads: identical. 96 % of what the wire can carry" in told.out.replace(
        "of what", "of what"
    )
    assert "Sealed as this job's original" in told.out
    assert "100 %  4.0 KiB of 4.0 KiB  28.0 kB/s  95 % of the wire  13.5 V" in told.err
    assert f"Job {JOB['id']} (pbx-e400, PBXTESTCAR0000E40, read verified)" in told.err
    started = next(body for path, body in engine.asked if path == "POST /v1/operations")
    assert started == {"verb": "read", "job": JOB["id"], "regions": ["a", "b"]}


def test_json_is_one_document_and_nothing_else(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    over = operation("done", result=READ_RESULT)
    alarm = {"kind": "alarm", "job_id": None, "code": "X", "text": "Supply 11.9 V", "raised": True}
    engine.states = [operation(), over]
    engine.streams = [[RUNNING, progress(1024), alarm, GATES_EVENT, {"kind": "operation", **over}]]
    assert main(["read", "--json"]) == Exit.DONE
    told = capsys.readouterr()
    assert json.loads(told.out) == READ_RESULT
    assert "⚠ Supply 11.9 V" in told.err


def test_quiet_leaves_alarms_and_the_result(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    over = operation("done", result=READ_RESULT)
    alarm = {"kind": "alarm", "job_id": None, "code": "X", "text": "Supply 11.9 V", "raised": True}
    note = {"kind": "note", "job_id": None, "text": "trying again"}
    engine.states = [operation(), over]
    engine.streams = [[RUNNING, progress(1024), note, alarm, {"kind": "operation", **over}]]
    assert main(["--quiet", "read"]) == Exit.DONE
    told = capsys.readouterr()
    assert told.err == "⚠ Supply 11.9 V\n"
    assert "Both reads" in told.out


def test_a_stream_that_is_cut_off_is_opened_again(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    over = operation("done", result=READ_RESULT)
    engine.states = [operation(), operation(), over]
    last = {"kind": "operation", **over}
    engine.streams = [
        [RUNNING, progress(1024) | {"seq": 7}],
        [RUNNING, progress(4096, "read_2") | {"seq": 8}, last],
    ]
    assert main(["read"]) == Exit.DONE
    assert "Read 2/2   100 %" in capsys.readouterr().err
    assert engine.followed == ["/v1/events?after=0&follow=1", "/v1/events?after=7&follow=1"]


def test_an_operation_that_was_over_before_we_listened_is_told(engine: FakeEngine) -> None:
    engine.states = [operation(), operation("done", result=READ_RESULT)]
    engine.streams = [[IDLE]]
    assert main(["read"]) == Exit.DONE


def test_gates_are_a_table_shown_once(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = failure("GATES_REFUSED", EcuSafety.UNTOUCHED, ("length: fail: 16 bytes too many",))
    engine.states = [operation(), operation(), failed]
    engine.streams = [[RUNNING, GATES_EVENT], [RUNNING | {"latest": {"gates": GATES_EVENT}}]]
    (tmp_path / "tuned.bin").write_bytes(b"tuned")
    assert main(["write", "--yes", str(tmp_path / "tuned.bin")]) == Exit.REFUSED
    told = capsys.readouterr()
    assert told.out.count("✔ 1 of 3 passed: signatures") == 1
    assert told.out.count("✘ length    16 bytes too many") == 1
    assert told.out.count("✘ checksum  unknown: no module") == 1
    assert "    - length: fail: 16 bytes too many" in told.err


@pytest.mark.parametrize(
    ("code", "ecu", "status", "words"),
    [
        ("GATES_REFUSED", EcuSafety.UNTOUCHED, Exit.REFUSED, "Untouched"),
        ("CHECKED", EcuSafety.INTACT, Exit.REFUSED, "Intact"),
        ("WRITE_INTERRUPTED", EcuSafety.HALF_WRITTEN, Exit.HALF_WRITTEN, "HALF WRITTEN"),
        ("INTERNAL", EcuSafety.UNKNOWN, Exit.HALF_WRITTEN, "Treat it as half written"),
        ("NEEDS_BENCH", EcuSafety.HALF_WRITTEN, Exit.NEEDS_BENCH, "HALF WRITTEN"),
    ],
)
def test_a_failure_gives_five_answers_and_a_true_status(
    engine: FakeEngine,
    capsys: pytest.CaptureFixture[str],
    code: str,
    ecu: EcuSafety,
    status: Exit,
    words: str,
) -> None:
    engine.states = [failure(code, ecu)]
    assert main(["restore", "--yes"]) == status
    told = capsys.readouterr().err
    for answer in ("✘ it went wrong", words, "Do now: Do this.", f"Code:   {code}", "Log:    /log"):
        assert answer in told


def test_a_failure_in_json_carries_all_five(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.states = [failure("WRITE_INTERRUPTED", EcuSafety.HALF_WRITTEN)]
    assert main(["recover", "--job", "4a6f", "--json", "--yes"]) == Exit.HALF_WRITTEN
    error = json.loads(capsys.readouterr().out)["error"]
    assert set(error) == set(ErrorTold.__annotations__)
    assert error["ecu"] == "half_written"


def test_a_second_writer_is_refused(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    busy = PitboxError(
        "ENGINE_BUSY", "the box is busy with read", do_now="Watch it with `pitbox jobs --watch`."
    )
    busy.ecu = EcuSafety.UNTOUCHED
    engine.answers["/v1/operations"] = (409, json.dumps(busy.as_dict()).encode())
    assert main(["restore", "--yes"]) == Exit.REFUSED
    assert "ENGINE_BUSY" in capsys.readouterr().err


def test_a_stranger_may_not_drive(engine: FakeEngine) -> None:
    stranger = PitboxError("PEER_REFUSED", "this user may not", do_now="Ask.")
    engine.answers["/v1/jobs"] = (403, json.dumps(stranger.as_dict()).encode())
    assert main(["jobs"]) == Exit.NO_ENGINE


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ("read", Exit.NO_ENGINE),
        ("verify", Exit.NO_ENGINE),
        ("restore", Exit.HALF_WRITTEN),
        ("recover", Exit.HALF_WRITTEN),
    ],
)
def test_an_engine_that_dies_under_us(
    engine: FakeEngine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    status: Exit,
) -> None:
    engine.states = [operation(verb=verb)]
    tell = engine.stream

    def last_words() -> bytes:
        engine.dead = True
        return tell()

    monkeypatch.setattr(engine, "stream", last_words)
    engine.streams = [[RUNNING, progress(1024)]]
    assert (
        main([verb, "--job", "4a6f", "--json", *(["--yes"] if status is Exit.HALF_WRITTEN else [])]) == status
    )
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["ecu"]) == ("ENGINE_LOST", "unknown")


def test_an_engine_that_was_started_again_tells_what_it_did_not_finish(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.states = [operation(verb="recover"), operation("interrupted", "recover")]
    engine.streams = [[RUNNING, progress(1024)]]
    engine.answers["/v1/safety"] = (200, json.dumps({"ecu": "half_written", "open_writes": []}).encode())
    assert main(["recover", "--job", "4a6f", "--json", "--yes"]) == Exit.HALF_WRITTEN
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["ecu"]) == ("ENGINE_LOST", "half_written")
    assert "was started again" in error["what"]


def test_an_engine_that_is_gone_for_a_moment_is_asked_again(engine: FakeEngine) -> None:
    engine.states = [operation(), operation("done", result=READ_RESULT)]
    engine.streams = [[RUNNING]]
    tell = engine.stream

    def last_words() -> bytes:
        engine.dead = True
        return tell()

    def comes_back(_seconds: float) -> None:
        engine.dead = False

    engine.stream = last_words  # type: ignore[method-assign]
    screen: Any = Interrupting()
    assert perform(EngineClient(engine.socket), screen, "read", ReadDone, retry=comes_back) == READ_RESULT


def test_what_happened_behind_the_end_of_a_stream_is_shown_all_the_same(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.states = [operation(), operation("done", result=READ_RESULT)]
    engine.streams = [[RUNNING]]
    note = event(kind="note", text="a third read", seq=9)
    page = {"events": [note], "after": 0, "last": 9, "more": False}
    engine.answers["/v1/events"] = (200, json.dumps(page).encode())
    assert main(["read"]) == Exit.DONE
    assert "a third read" in capsys.readouterr().err


class Interrupting:
    """A screen on which Ctrl-C is pressed when the first event is shown."""

    def __init__(self) -> None:
        self.alarms: list[str] = []

    def event(self, _event: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    def alarm(self, text: str) -> None:
        self.alarms.append(text)


def _again(_seconds: float) -> None:
    raise KeyboardInterrupt


def _no_more(_seconds: float) -> None:
    return


def test_ctrl_c_leaves_the_engine_alone(engine: FakeEngine) -> None:
    engine.states, engine.streams = [operation()], [[RUNNING, progress(1)]]
    screen: Any = Interrupting()
    with pytest.raises(LeftRunningError) as left:
        perform(EngineClient(engine.socket), screen, "read", ReadDone, pause=_no_more)
    assert "pitbox jobs --watch" in left.value.do_now
    assert "Ctrl-C again" in screen.alarms[0]
    assert not any("cancel" in path for path, _ in engine.asked)


def test_a_second_ctrl_c_cancels(engine: FakeEngine) -> None:
    engine.states, engine.streams = [operation(), operation("cancelled")], [[RUNNING, progress(1)]]
    engine.answers["/v1/operations/op-1/cancel"] = (200, b'{"cancelled": true}')
    screen: Any = Interrupting()
    with pytest.raises(CancelledError):
        perform(EngineClient(engine.socket), screen, "read", ReadDone, pause=_again)


def test_a_second_ctrl_c_too_late_cancels_nothing(engine: FakeEngine) -> None:
    late = PitboxError("TOO_LATE_TO_CANCEL", "it is being written", do_now="Wait.")
    engine.states, engine.streams = [operation()], [[RUNNING, progress(1)]]
    engine.answers["/v1/operations/op-1/cancel"] = (409, json.dumps(late.as_dict()).encode())
    screen: Any = Interrupting()
    with pytest.raises(LeftRunningError):
        perform(EngineClient(engine.socket), screen, "write", Written, pause=_again)
    assert "it is being written" in screen.alarms[-1]


def test_ctrl_c_while_writing_offers_no_cancelling(engine: FakeEngine) -> None:
    flashing = {"kind": "state", "job_id": JOB["id"], "state": "flashing"}
    engine.states = [operation(verb="write")]
    engine.streams = [[RUNNING, flashing, progress(1)]]
    screen: Any = Interrupting()
    screen.event = lambda event: _again(0) if event["kind"] == "progress" else None
    with pytest.raises(LeftRunningError):
        perform(EngineClient(engine.socket), screen, "write", Written, pause=_again)
    assert screen.alarms == []


def test_a_write_hands_in_the_file_and_the_wish(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.states = [operation("done", result=WRITE_RESULT)]
    (tmp_path / "tuned.bin").write_bytes(b"tuned")
    wish = ["--use", "motorsport_offroad", "--regions", "calibration", "--correct-checksums", "--yes"]
    wish += ["--made-from", "0A1B-2C"]
    assert main(["write", str(tmp_path / "tuned.bin"), *wish]) == Exit.DONE
    assert ("POST /v1/uploads", b"tuned") in engine.asked
    started = next(body for path, body in engine.asked if path == "POST /v1/operations")
    assert started == {
        "verb": "write",
        "job": JOB["id"],
        "upload": "up-1",
        "use": "motorsport_offroad",
        "changed_regions": ["calibration"],
        "correct_checksums": True,
        "made_from": "0a1b-2c",
        "confirmed": PREVIEW["digest"],
    }
    told = capsys.readouterr().out
    assert "3 of 16 blocks written, 13 already right" in told
    assert "38 blocks proven by a hash on the ECU" in told
    assert "Fault codes now: P0301-00" in told


VERIFIED = {"job": JOB["id"], "method": "hash", "blocks": 38, "sha256": "ef" * 32}
WRITTEN = WRITE_RESULT | {"rituals": ["Ignition off for a minute."]}


@pytest.mark.parametrize(
    ("arguments", "result", "due"),
    [
        (["read"], READ_RESULT, ""),
        (["read", "--regions", "code"], READ_RESULT | {"full": False}, ""),
        (["verify"], VERIFIED, ""),
        (["restore", "--yes"], WRITTEN | {"result": "restored"}, "  Now: Ignition off for a minute."),
        (["recover", "--yes"], WRITTEN, "  Now: Ignition off for a minute."),
    ],
)
def test_what_is_due_and_what_comes_next_end_each_verb(
    engine: FakeEngine,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    result: dict[str, Any],
    due: str,
) -> None:
    engine.jobs = [JOB | {"state": "interrupted"} if arguments[0] == "recover" else JOB]
    engine.states = [operation("done", verb=arguments[0], result=result)]
    assert main(arguments) == Exit.DONE
    *_, before, last = capsys.readouterr().out.splitlines()
    assert last.startswith("Next: `pitbox ")
    assert before == due or not due


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: path.write_bytes(b""), "FILE_EMPTY"),
        (lambda path: None, "FILE_UNREADABLE"),
        (lambda path: path.mkdir(), "FILE_UNREADABLE"),
        (lambda path: _sparse(path, 1 << 30), "FILE_TOO_LARGE"),
        (lambda path: _sparse(path, (64 << 20) + 1), "FILE_TOO_LARGE"),
    ],
)
def test_a_file_that_cannot_be_an_image_never_leaves(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, code: str
) -> None:
    make(tmp_path / "tuned.bin")
    assert main(["write", "--yes", str(tmp_path / "tuned.bin")]) == Exit.REFUSED
    assert code in capsys.readouterr().err
    assert not any("uploads" in path for path, _ in engine.asked)


@pytest.mark.parametrize(("ecu", "status"), [("half_written", Exit.HALF_WRITTEN), ("intact", Exit.REFUSED)])
def test_an_error_of_this_side_has_the_engine_say_how_the_ecu_is(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], ecu: str, status: Exit
) -> None:
    engine.jobs = []
    engine.answers["/v1/safety"] = (200, json.dumps({"ecu": ecu, "open_writes": []}).encode())
    assert main(["restore", "--yes", "--json"]) == status
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["ecu"]) == ("NO_FITTING_JOB", ecu)


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"\xff", b'{"ecu": "fine"}'])
def test_a_safety_that_cannot_be_understood_is_unknown(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    engine.jobs = []
    engine.answers["/v1/safety"] = (200, answer)
    assert main(["restore", "--yes", "--json"]) == Exit.HALF_WRITTEN
    assert json.loads(capsys.readouterr().out)["error"]["ecu"] == "unknown"


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
