"""While an ECU is half written, every error of every kind says so."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import Engine, five_answers, place, running, simulated

PACK = "pbx-fd20"
CALIBRATION = slice(0x180000, 0x1E0000)


def half_written(root: Path) -> str:
    """A box whose power was cut while it wrote; gives the job."""
    fault = {"faults": [{"kind": "box_dies", "on": "programmed", "at": 5000}]}
    with running(root, pack=PACK) as engine:
        job = engine.read_job()
        stock = engine.memory()
    engine = simulated(root, "--faults", json.dumps(fault), pack=PACK).start()
    image = bytearray(stock[CALIBRATION])
    image[0x1000] ^= 0xFF
    upload = engine.hand_in(bytes(image))
    status, _ = engine.ask(
        "POST", "/v1/operations", {"verb": "write", "job": job, "upload": upload, "correct_checksums": True}
    )
    assert status == 202
    engine.wait()
    assert engine.memory() != stock
    return job


@pytest.fixture(scope="module")
def _cut() -> Iterator[tuple[Path, str]]:
    with place() as folder:
        yield folder, half_written(folder)


@pytest.fixture(scope="module")
def restarted(_cut: tuple[Path, str]) -> Iterator[tuple[Engine, str]]:
    """The box after the restart, with its job."""
    with place() as folder:
        shutil.copytree(_cut[0], folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
        with running(folder, pack=PACK) as engine:
            yield engine, _cut[1]


@pytest.fixture
def stopped(_cut: tuple[Path, str]) -> Iterator[Path]:
    """The box's folder while no engine runs."""
    with place() as folder:
        shutil.copytree(_cut[0], folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
        yield folder


@pytest.mark.parametrize(
    "asked",
    [
        {"verb": "identify"},
        {"verb": "identify", "definition": "pbx-none"},
        {"verb": "read", "job": "JOB"},
        {"verb": "write", "job": "JOB", "upload": "nothing"},
        {"verb": "restore", "job": "JOB"},
        {"verb": "verify", "job": "JOB"},
        {"verb": "verify", "job": "JOB", "file": "0-0"},
        {"verb": "dtc", "job": "JOB", "clear": True},
        {"verb": "dtc", "job": "no-such-job"},
        {"verb": "recover", "definition": "pbx-x050"},
        {"verb": "recover", "job": "no-such-job"},
    ],
)
def test_whatever_fails_while_an_ecu_is_half_written_says_so(
    restarted: tuple[Engine, str], asked: dict[str, object]
) -> None:
    engine, job = restarted
    named = {key: job if value == "JOB" else value for key, value in asked.items() if key != "verb"}
    error = engine.fail(str(asked["verb"]), **named)
    assert error["ecu"] == "half_written", error


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/operations", {"verb": "format"}),
        ("POST", "/v1/operations", {"verb": "read"}),
        ("POST", "/v1/operations", b"no json"),
        ("GET", "/v1/jobs/no-such-job", None),
        ("GET", "/v1/jobs/JOB/export?format=odd", None),
        ("GET", "/v1/nothing", None),
        ("DELETE", "/v1/jobs", None),
        ("POST", "/v1/operations/no-such-operation/cancel", None),
    ],
)
def test_whatever_is_refused_while_an_ecu_is_half_written_says_so(
    restarted: tuple[Engine, str], method: str, path: str, body: object
) -> None:
    engine, job = restarted
    status, answer = engine.ask(method, path.replace("JOB", job), body)
    assert status >= 400
    assert five_answers(answer)["ecu"] == "half_written"


def test_the_standing_names_the_write_and_its_car(restarted: tuple[Engine, str]) -> None:
    engine, job = restarted
    for query in ("", f"?job={job}", "?job=other"):
        told = engine.ask("GET", f"/v1/safety{query}")[1]
        assert told["ecu"] == "half_written"
        assert [(one["job"], one["half_written"]) for one in told["open_writes"]] == [(job, True)]


@pytest.mark.parametrize(
    "arguments",
    [("--role", "slave"), ("--simulate", "pbx-none"), ("--faults", "nonsense")],
    ids=lambda arguments: arguments[0],
)
def test_an_engine_that_does_not_start_says_half_written(stopped: Path, arguments: tuple[str, ...]) -> None:
    assert "ECU: half_written" in simulated(stopped, *arguments, pack=PACK).refuse_to_start()


def test_an_engine_that_cannot_read_its_journal_says_unknown(stopped: Path) -> None:
    for file in (stopped / "state").glob("journal.db*"):  # what the log behind it holds whole is still read
        file.write_bytes(b"nonsense" * 1000)
    assert "ECU: unknown" in simulated(stopped, pack=PACK).refuse_to_start()


def test_an_engine_whose_journal_is_gone_says_unknown_and_a_new_one_untouched(stopped: Path) -> None:
    for file in (stopped / "state").glob("journal.db*"):
        file.unlink()
    assert "ECU: unknown" in Engine(stopped, role="slave").refuse_to_start()
    assert "ECU: untouched" in Engine(stopped / "new").refuse_to_start()


def test_a_segment_of_the_original_that_is_damaged_does_not_soothe(stopped: Path) -> None:
    blobs = [file for file in (stopped / "state" / "blobs").rglob("*") if file.is_file()]
    assert blobs
    for blob in blobs:
        blob.write_bytes(blob.read_bytes()[:-1] + b"\x00")
    with sqlite3.connect(stopped / "state" / "journal.db") as sql:
        (job,) = sql.execute("SELECT id FROM job").fetchone()
    with running(stopped, pack=PACK) as engine:
        for original in (False, True):
            assert engine.fail("recover", job=job, original=original)["ecu"] == "half_written"
