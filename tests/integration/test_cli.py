"""The command line against a running engine with a simulated car."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PYTHON = (sys.executable, "-m")
READING_ON = ("pbx-e400", "--pace", "0.25")
"""A box that reads 8 MiB at a quarter of a car's pace: twenty minutes, which no test waits for."""
KILLED_READING = ("pbx-x050", "--pace", "0.25")
"""A box that is killed within the minute that it reads for; the next one has little left to read."""
END_S = 120

pytestmark = pytest.mark.timeout(300)


@dataclass
class Bench:
    """A box, its car, and a command line beside it."""

    folder: Path
    process: subprocess.Popen[str]

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    def pitbox(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=END_S, check=False)

    def command(self, *arguments: str) -> list[str]:
        return [*PYTHON, "appliance.cli.main", "--socket", str(self.socket), *arguments]

    def done(self, *arguments: str) -> Any:
        """JSON of a command that must succeed."""
        ended = self.pitbox("--json", *arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)

    def refused(self, status: int, *arguments: str) -> dict[str, Any]:
        """The error of a command that must end with this status."""
        ended = self.pitbox("--json", *arguments)
        assert ended.returncode == status, ended.stdout + ended.stderr
        error: dict[str, Any] = json.loads(ended.stdout)["error"]
        assert error["what"]
        assert error["do_now"]
        assert error["log"]
        return error

    def patient(self, *arguments: str) -> list[str]:
        """A command that waits longer for a second Ctrl-C than a person needs: this machine may be busy."""
        return [sys.executable, "-c", _PATIENT, *self.command()[3:], *arguments]


def interruptible(command: list[str]) -> subprocess.Popen[str]:
    """Started so that it heeds Ctrl-C: children of tests that run in the background would ignore it."""
    heeding = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, heeding)


def following(command: list[str]) -> subprocess.Popen[str]:
    """A command that runs on; returns once its engine has told something of the work."""
    running = interruptible(command)
    assert running.stderr is not None
    while not (line := running.stderr.readline()).startswith("Read 1/2"):
        assert line, "the command ended before it told of the read"
    return running


_PATIENT = f"""
import sys
from appliance.cli import operation_client
from appliance.cli.main import main
operation_client._SECOND_THOUGHTS_S = operation_client._LAST_WORD_S = {END_S}
sys.exit(main())
"""


@contextmanager
def box(folder: Path, definition: str, *options: str, role: str = "master") -> Iterator[Bench]:
    command = [*PYTHON, "appliance.engine", "--state", str(folder / "box"), "--socket", str(folder / "s")]
    command += ["--role", role, "--simulate", definition, "--car-data", str(folder / "car"), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "listening" in process.stdout.readline()
        yield Bench(folder, process)
    finally:
        process.terminate()
        process.wait(END_S)
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a UNIX socket lies in it."""
    with tempfile.TemporaryDirectory(prefix="pb") as made:
        yield Path(made)


def test_a_whole_job_by_hand(folder: Path) -> None:
    with box(folder, "pbx-x050") as bench:
        job = bench.done("identify")["job"]
        read = bench.done("read")
        assert (read["job"], read["full"]) == (job, True)
        original = folder / "original.bin"
        assert bench.done("export", "-o", str(original))["bytes"] == 256 * 1024
        tuned = bytearray(original.read_bytes())
        tuned[0x31000:0x31004] = bytes(byte ^ 0xFF for byte in tuned[0x31000:0x31004])
        (folder / "tuned.bin").write_bytes(tuned)
        named = bench.done("jobs")[0]["original"]

        refused = bench.refused(1, "write", "--yes", str(folder / "tuned.bin"))
        assert refused["code"] == "GATES_REFUSED"
        assert any("checksum" in detail for detail in refused["details"])
        other = bench.refused(1, "write", "--yes", str(folder / "tuned.bin"), "--made-from", "0" * 32)
        assert any("base_read" in detail for detail in other["details"])
        whole = ("--correct-checksums", "--made-from", named)
        written = bench.done("write", "--yes", str(folder / "tuned.bin"), *whole)
        assert written["result"] == "done"
        assert 0 < written["blocks"]["written"] < written["blocks"]["total"]
        assert bench.done("verify")["sha256"] == written["verify"]["sha256"]
        assert bench.done("restore", "--yes")["result"] == "restored"
        assert bench.done("verify")["sha256"] == read["reads"][0]["sha256"]
        assert bench.done("dtc")["dtcs"] == []
        assert [one["state"] for one in bench.done("jobs")] == ["restored"]
        assert bench.done("report", "--job", job[:4])["result"] == "restored"


def test_people_get_words_and_a_wrong_file_gets_all_failing_gates(folder: Path) -> None:
    with box(folder, "pbx-x050") as bench:
        assert "Next: `pitbox read`" in bench.pitbox("identify").stdout
        assert "Both reads: identical" in bench.pitbox("read").stdout
        (folder / "other.bin").write_bytes(bytes(0x10000))
        ended = bench.pitbox("write", "--yes", str(folder / "other.bin"))
        assert ended.returncode == 1
        assert "✘ checksum" in ended.stdout
        assert "passed: signatures" in ended.stdout
        assert "ECU:    Untouched" in ended.stderr
        (folder / "short.bin").write_bytes(bytes(0xFFFF))
        assert bench.refused(1, "write", "--yes", str(folder / "short.bin"))["code"] == "FILE_LENGTH"


def test_a_slave_exports_nothing_and_restores_all_the_same(folder: Path) -> None:
    with box(folder, "pbx-x050", role="slave") as bench:
        bench.done("identify")
        bench.done("read")
        assert bench.refused(1, "export", "-o", str(folder / "x"))["code"] == "VAULT_SLAVE_NO_EXPORT"
        assert not (folder / "x").exists()
        (folder / "plain.bin").write_bytes(bytes(0x10000))
        assert bench.refused(1, "write", "--yes", str(folder / "plain.bin"))["code"] == "SLAVE_TAKES_PACKAGES"
        assert bench.done("restore", "--yes")["result"] == "restored"


def test_every_export_format_holds_the_same_bytes(folder: Path) -> None:
    with box(folder, "pbx-x050") as bench:
        bench.done("identify")
        bench.done("read")
        for name in ("bin", "ihex", "srec"):
            bench.done("export", "--format", name, "-o", str(folder / name))
    images = []
    for name in ("ihex", "srec"):
        file = pytest.importorskip("bincopy").BinFile(str(folder / name))
        images.append(bytes(file.as_binary()))
    assert images == [(folder / "bin").read_bytes()] * 2


def test_a_write_is_proposed_by_one_and_consented_to_by_another(folder: Path) -> None:
    with box(folder, "pbx-x050") as bench:
        bench.done("identify")
        bench.done("read")
        original, tuned = folder / "original.bin", folder / "tuned.bin"
        bench.done("export", "-o", str(original))
        content = bytearray(original.read_bytes())
        content[0x31000] ^= 0xFF
        tuned.write_bytes(content)
        asked = ["write", str(tuned), "--correct-checksums", "--propose", "--needs", "operator,kind:owner"]
        told = bench.done(*asked, "--by", "Kim")
        assert told["waits_for"] == ["operator", "kind:owner"]
        one = told["id"][:6]
        other = bench.refused(1, "consent", one, "--digest", "0" * 64, "--yes")
        assert other["code"] == "CONSENT_TO_ANOTHER"
        assert bench.done("consent", one, "--yes")["waits_for"] == ["kind:owner"]
        assert bench.refused(1, "consent", one, "--yes")["code"] == "CONSENT_REFUSED"
        tuned.unlink()
        done = bench.done("consent", one, "--need", "kind:owner", "--by", "Ada", "--yes")
        assert (done["result"], done["blocks"]["written"] > 0) == ("done", True)
        (listed,) = bench.done("proposals")
        assert (listed["state"], [given["by"] for given in listed["consents"]]) == ("started", [None, "Ada"])
        assert bench.refused(1, "withdraw", one)["code"] == "PROPOSAL_CLOSED"


def test_a_second_writer_a_leaver_and_a_canceller(folder: Path) -> None:
    with box(folder, *READING_ON) as bench:
        bench.done("identify", "--definition", READING_ON[0])
        first = following(bench.command("read"))
        busy = bench.refused(1, "read")
        assert (busy["code"], busy["ecu"]) == ("ENGINE_BUSY", "untouched")
        first.send_signal(signal.SIGINT)
        _, told = first.communicate(timeout=END_S)
        assert first.returncode == 130
        assert "the box goes on with read by itself" in told
        assert "pitbox jobs --watch" in told
        assert bench.refused(1, "dtc")["code"] == "ENGINE_BUSY", "it goes on after its client has left"


def test_a_second_ctrl_c_cancels_a_read(folder: Path) -> None:
    with box(folder, *READING_ON) as bench:
        bench.done("identify", "--definition", READING_ON[0])
        reading = following(bench.patient("read"))
        assert reading.stderr is not None
        reading.send_signal(signal.SIGINT)
        while "Ctrl-C again" not in (line := reading.stderr.readline()):
            assert line, "the command ended without offering to cancel"
        reading.send_signal(signal.SIGINT)
        told = reading.stderr.read()
        assert reading.wait(timeout=END_S) == 130
        assert "read was cancelled before anything was erased" in told
        assert len(bench.done("dtc")["dtcs"]) == 2, "the box is free again"


def test_an_engine_killed_while_reading_leaves_the_ecu_untouched(folder: Path) -> None:
    with box(folder, *KILLED_READING) as bench:
        bench.done("identify", "--definition", KILLED_READING[0])
        reading = following(bench.command("read", "--json"))
        bench.process.kill()
        told, _ = reading.communicate(timeout=END_S)
        assert reading.returncode == 5
        error = json.loads(told)["error"]
        assert (error["code"], error["ecu"]) == ("ENGINE_LOST", "unknown")
        assert bench.refused(5, "jobs")["code"] == "ENGINE_UNREACHABLE"
    with box(folder, KILLED_READING[0]) as bench:
        assert bench.done("read")["full"]
        assert bench.done("report")["interruptions"][0]["resumed"]


@pytest.mark.parametrize(("definition", "status"), [("pbx-fd20", 0), ("pbx-x050", 4)])
def test_a_power_cut_while_writing_is_told_and_recovered_where_it_can_be(
    folder: Path, definition: str, status: int
) -> None:
    start, size = {"pbx-fd20": (0x18_0000, 0x6_0000), "pbx-x050": (0x3_0000, 0x1_0000)}[definition]
    fault = {"faults": [{"kind": "box_dies", "on": "programmed", "at": 5000}]}
    with box(folder, definition, "--faults", json.dumps(fault)) as bench:
        bench.done("identify")
        bench.done("read")
        bench.done("export", "--format", "bin", "-o", str(folder / "whole"))
        tuned = bytearray((folder / "whole").read_bytes()[start : start + size])
        tuned[0x1000] ^= 0xFF
        (folder / "tuned.bin").write_bytes(tuned)
        lost = bench.refused(3, "write", "--yes", str(folder / "tuned.bin"), "--correct-checksums")
        assert (lost["code"], lost["ecu"]) == ("ENGINE_LOST", "unknown")
        assert "pitbox recover" in lost["do_now"]
    with box(folder, definition) as bench:
        listed = bench.pitbox("jobs").stderr
        assert "⚠ HALF WRITTEN: VIN PBXTESTCAR000" in listed
        refused = bench.refused(3, "restore", "--yes")
        assert (refused["code"], refused["ecu"]) == ("NO_FITTING_JOB", "half_written")
        ended = bench.pitbox("recover", "--yes")
        assert ended.returncode == status, ended.stdout + ended.stderr
        assert bench.done("report")["result"] == {0: "done", 4: "needs_bench"}[status]
        if status == 0:
            assert bench.done("verify")["blocks"] > 0
            assert bench.refused(1, "recover", "--yes")["code"] == "NO_FITTING_JOB"


def test_watching_shows_another_ones_work(folder: Path) -> None:
    with box(folder, *READING_ON) as bench:
        bench.done("identify", "--definition", READING_ON[0])
        reading = following(bench.command("read"))
        watching = interruptible(bench.command("jobs", "--watch", "--json"))
        assert watching.stdout is not None
        snapshot, event = (json.loads(watching.stdout.readline()) for _ in range(2))
        assert snapshot["operation"]["verb"] == "read"
        assert event["kind"] in {"progress", "state", "operation", "heartbeat"}
        watching.send_signal(signal.SIGINT)
        rest, _ = watching.communicate(timeout=END_S)
        assert watching.returncode == 0
        assert all(json.loads(line)["kind"] for line in rest.splitlines())
        assert reading.poll() is None
        assert bench.refused(1, "dtc")["code"] == "ENGINE_BUSY", "what is watched goes on"
        reading.kill()
        reading.communicate()


@pytest.mark.parametrize(
    ("environment", "status"),
    [({"PYTHONIOENCODING": "latin-1"}, 0), ({"PYTHONIOENCODING": "ascii"}, 0), ({"FULL": "1"}, 1)],
    ids=["latin-1", "ascii", "full disk"],
)
def test_an_output_that_cannot_take_it_ends_no_write(
    folder: Path, environment: dict[str, str], status: int
) -> None:
    """The operation is followed to its end, and told as far as it can be."""
    with box(folder, "pbx-x050") as bench:
        bench.done("identify")
        bench.done("read")
        full = "FULL" in environment
        with Path("/dev/full" if full else folder / "out").open("w") as out:
            ended = subprocess.run(
                bench.command("restore", "--yes"),
                stdout=out,
                stderr=subprocess.PIPE,
                env={**os.environ, **environment},
                timeout=120,
                check=False,
            )
        assert b"Traceback" not in ended.stderr
        assert ended.returncode == status, ended.stderr
        assert bench.done("report")["result"] == "restored"
        if full:
            assert ended.stderr.count(b"No space left on device") == 2, "as it happens, and in the end"
        else:
            assert "+ Restored" in (folder / "out").read_text("latin-1")


def test_a_reader_that_leaves_ends_no_write(folder: Path) -> None:
    with box(folder, "pbx-x050") as bench:
        bench.done("identify")
        bench.done("read")
        reading, writing = os.pipe()
        os.close(reading)
        ended = subprocess.run(
            bench.command("restore", "--yes"),
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
        os.close(writing)
        assert b"Traceback" not in ended.stderr
        assert ended.returncode == 141
        assert bench.done("report")["result"] == "restored"
