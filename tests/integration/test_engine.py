"""The engine as its clients, its service manager and an attacker see it: another process behind a socket."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import HANG_S, PACK, Client, Engine, five_answers, kill, place, running, simulated

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="NOT PROVEN HERE: needs root")
NOBODY = 65534


@pytest.fixture
def root() -> Iterator[Path]:
    with place() as folder:
        yield folder


@pytest.fixture(scope="module")
def shared() -> Iterator[Engine]:
    """One engine for tests that leave it as it was."""
    with place() as folder, running(folder) as engine:
        yield engine


# --- the socket ---------------------------------------------------------------------------------


def _sockets(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            found.add(str(entry.readlink()))
    return {link.removeprefix("socket:[").rstrip("]") for link in found if link.startswith("socket:")}


_NETWORK_TABLES = {"tcp": 9, "tcp6": 9, "udp": 9, "udp6": 9, "raw": 9, "raw6": 9, "packet": 8}
"""Files of /proc/PID/net and their column with the socket's inode (proc(5))."""


def _network_inodes(pid: int) -> set[str]:
    found: set[str] = set()
    for table, column in _NETWORK_TABLES.items():
        path = Path(f"/proc/{pid}/net/{table}")
        if path.exists():
            found |= {line.split()[column] for line in path.read_text().splitlines()[1:]}
    return found


def test_the_engine_has_no_network_socket_before_during_and_after_a_job(root: Path) -> None:
    with running(root) as engine:
        assert _sockets(engine.pid), "it listens on something"
        job = engine.read_job()
        operation = engine.begin("restore", job=job)
        assert not _sockets(engine.pid) & _network_inodes(engine.pid)
        engine.end(operation)
        assert not _sockets(engine.pid) & _network_inodes(engine.pid)


def test_the_check_above_does_see_a_network_socket() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert _sockets(os.getpid()) & _network_inodes(os.getpid())


def test_the_socket_is_for_user_and_group_only_and_goes_with_the_engine(root: Path) -> None:
    with running(root) as engine:
        assert stat.S_IMODE(engine.socket.stat().st_mode) == 0o660
    assert not engine.socket.exists()


_AS_NOBODY = """
import http.client, os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
class Client(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX); self.sock.connect(sys.argv[1])
client = Client("engine"); client.request("GET", "/v1/snapshot"); answer = client.getresponse()
print(answer.status, answer.read().decode())
"""


def _as_nobody(path: Path) -> tuple[int, dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(path)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=True,
    )
    status, _, body = done.stdout.partition(" ")
    return int(status), json.loads(body)


@NEEDS_ROOT
def test_another_user_is_refused_even_where_the_socket_file_would_let_him(root: Path) -> None:
    with running(root) as engine:
        engine.socket.chmod(0o666)
        status, answer = _as_nobody(engine.socket)
        assert (status, five_answers(answer)["code"]) == (403, "PEER_REFUSED")


@NEEDS_ROOT
def test_a_user_named_at_the_start_is_welcome(root: Path) -> None:
    with running(root, "--allow-uid", str(NOBODY)) as engine:
        assert _as_nobody(engine.socket)[0] == 200


_JOB_AS_NOBODY = """
import os, sys
from pathlib import Path
from tests.support.engine import Engine
engine = Engine(Path(sys.argv[1]))
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
job = engine.read_job()
shown = engine.perform("preview", of="restore", job=job)
print(engine.perform("restore", job=job, confirmed=shown["digest"])["result"])
print(engine.perform("verify", job=job)["blocks"])
print(engine.perform("recover", definition=shown["definition"])["result"])
"""


@NEEDS_ROOT
def test_a_user_named_at_the_start_does_whole_jobs(root: Path) -> None:
    with running(root, "--allow-uid", str(NOBODY)) as engine:
        done = subprocess.run(
            [sys.executable, "-c", _JOB_AS_NOBODY, str(root), str(NOBODY)],
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        restored, blocks, recovered = done.stdout.split()
        assert (restored, recovered) == ("restored", "restored") and int(blocks) > 0
        actors = [one["actor"] for one in engine.ask("GET", "/v1/operations")[1]]
        assert actors and all(one == {"role": "operator", "uid": NOBODY} for one in actors)


def test_a_socket_left_by_a_killed_engine_is_replaced(root: Path) -> None:
    engine = simulated(root).start()
    kill(engine)
    assert engine.socket.is_socket()
    with running(root) as successor:
        assert successor.ask("GET", "/v1/snapshot")[0] == 200


def test_a_live_socket_is_not_taken_over(root: Path, shared: Engine) -> None:
    second = simulated(root)
    second.socket = shared.socket
    assert "ENGINE_RUNS_ALREADY" in second.refuse_to_start()
    assert shared.ask("GET", "/v1/snapshot")[0] == 200


def test_a_file_that_is_no_socket_is_not_replaced(root: Path) -> None:
    engine = simulated(root)
    engine.socket.write_text("precious")
    assert "SOCKET_UNUSABLE" in engine.refuse_to_start()
    assert engine.socket.read_text() == "precious"


# --- what it needs to start ---------------------------------------------------------------------


def test_two_engines_never_share_a_state_directory(root: Path, shared: Engine) -> None:
    second = simulated(root)
    second.state = shared.state
    told = second.refuse_to_start()
    assert "STATE_IN_USE" in told
    assert "Now:" in told and "ECU:" in told and "Log:" in told


def test_the_state_directory_is_free_again_after_a_kill(root: Path) -> None:
    kill(simulated(root).start())
    with running(root) as engine:
        assert engine.ask("GET", "/v1/jobs") == (200, [])


def test_a_damaged_journal_is_refused_and_set_aside_on_demand_and_no_original_is_lost(root: Path) -> None:
    with running(root) as engine:
        engine.read_job()
        before = engine.memory()
    journal = engine.state / "journal.db"
    damaged = journal.read_bytes()[:100] + b"\xa5" * 4000
    journal.write_bytes(damaged)
    told = engine.refuse_to_start()
    assert told.startswith("JOURNAL_DAMAGED: ")
    assert all(f"  {answer}:" in told for answer in ("ECU", "Now", "Log"))
    assert journal.read_bytes() == damaged
    with running(root, "--set-journal-aside") as successor:
        assert [path.read_bytes() for path in engine.state.glob("journal.db.*.damaged")] == [damaged]
        originals = successor.ask("GET", "/v1/originals")[1]
        assert [one["definition"] for one in originals] == [PACK]
        result = successor.perform("recover", definition=PACK, file=originals[0]["file"])
        assert result["result"] == "restored"
        assert successor.memory() == before
        job = successor.ask("GET", f"/v1/jobs/{result['job']}")[1]
        assert job["original"] == originals[0]["file"]


def test_journal_and_log_are_for_the_engines_user_alone(root: Path) -> None:
    with running(root) as engine:
        engine.read_job()
        private = [path for path in engine.state.rglob("*") if path.is_file()]
        assert {"journal.db", "journal.db-wal", "engine.log", "writes.1"} <= {path.name for path in private}
        assert [path for path in private if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("name", ["log/engine.log", "journal.db", "lock"])
def test_a_pipe_in_the_state_directory_does_not_hang_the_engine(root: Path, name: str) -> None:
    with running(root) as engine:
        pass
    path = engine.state / name
    path.unlink()
    os.mkfifo(path, 0o600)
    assert "STATE_UNUSABLE" in (told := engine.refuse_to_start()) or "JOURNAL_DAMAGED" in told


def test_keys_that_others_can_read_are_refused(root: Path) -> None:
    with running(root) as engine:
        pass
    (engine.state / "keys").chmod(0o755)
    assert "VAULT_KEYS_EXPOSED" in engine.refuse_to_start()


def test_a_box_does_not_change_its_role(root: Path) -> None:
    with running(root, role="slave"):
        pass
    assert "VAULT_ROLE_MISMATCH" in simulated(root, role="master").refuse_to_start()


_FAULT_OF_NOBODY = '{"faults": [{"kind": "lie", "on": "read", "at": 1, "ecu": "x"}]}'


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "NO_HARDWARE_NAMED"),
        (("--simulate", "pbx-none"), "DEFINITION_UNKNOWN"),
        (("--simulate", PACK, "--faults", "nonsense"), "FAULTS_INVALID"),
        (("--simulate", PACK, "--faults", '{"faults": [{"kind": "lie"}]}'), "FAULTS_INVALID"),
        (
            (
                "--simulate",
                PACK,
                "--faults",
                '{"faults": [{"kind": "lie", "on": "read", "at": 1, "ecu": "x"}]}',
            ),
            "FAULTS_INVALID",
        ),
        (("--can", "socketcan:can0", "--voltmeter", "nonsense"), "HARDWARE_MISSING"),
    ],
)
def test_what_cannot_work_is_told_at_the_start(root: Path, arguments: tuple[str, ...], code: str) -> None:
    told = Engine(root, *arguments).refuse_to_start()
    assert told.startswith(f"{code}: ")
    assert "Now:" in told


def test_a_can_interface_that_is_not_there_is_told_by_the_operation(root: Path) -> None:
    engine = Engine(root, "--can", "socketcan:nope", "--voltmeter", "ina226:/dev/i2c-none:0x40")
    try:
        engine.start()
        assert "i2c-none" in engine.ask("GET", "/v1/snapshot")[1]["voltmeter_missing"]
        error = engine.fail("identify")
        assert error["code"] == "HARDWARE_MISSING"
        assert error["ecu"] == "untouched"
    finally:
        engine.stop()


def test_a_definition_file_that_is_refused_costs_nobody_else(root: Path) -> None:
    own = root / "own"
    own.mkdir()
    (own / "mine.toml").write_text("id = 1\nwhat = 'is this'\n")
    with running(root, "--definitions", str(own)) as engine:
        listed = engine.ask("GET", "/v1/definitions")[1]
        refused = [one for one in listed if one["refused"]]
        assert len(refused) == 1
        assert any("mine.toml" in line for line in refused[0]["refused"]["details"])
        assert PACK in {one["id"] for one in listed}
        assert "mine.toml" in (engine.state / "log" / "engine.log").read_text()
        assert engine.perform("identify")["definition"] == PACK


# --- clients --------------------------------------------------------------------------------------


def test_the_work_goes_on_when_its_client_dies(root: Path) -> None:
    with running(root) as engine:
        job = engine.perform("identify")["job"]
        with engine.events() as events:
            assert next(events)["kind"] == "snapshot"
            operation = engine.begin("read", job=job)
            next(event for event in events if event["kind"] == "progress")
        assert engine.end(operation)["state"] == "done"
        assert engine.ask("GET", "/v1/snapshot")[0] == 200


def test_a_late_comer_gets_the_snapshot_first_and_then_what_follows(root: Path) -> None:
    with running(root, "--pace", "20") as engine:
        job = engine.perform("identify")["job"]
        with engine.events() as first:
            next(first)
            operation = engine.begin("read", job=job)
            next(event for event in first if event["kind"] == "progress" and event["done_bytes"] > 0)
            with engine.events() as late:
                snapshot = next(late)
                assert snapshot["kind"] == "snapshot"
                assert snapshot["operation"]["id"] == operation
                assert snapshot["latest"]["progress"]["done_bytes"] > 0
                following = next(event for event in late if event["kind"] == "progress")
                assert following["done_bytes"] >= snapshot["latest"]["progress"]["done_bytes"]
        assert engine.ask("POST", f"/v1/operations/{operation}/cancel") == (200, {"cancelled": True})
        assert engine.end(operation)["state"] == "cancelled"


def test_one_operation_at_a_time(root: Path) -> None:
    with running(root, "--pace", "20") as engine:
        job = engine.perform("identify")["job"]
        operation = engine.begin("read", job=job)
        status, answer = engine.ask("POST", "/v1/operations", {"verb": "identify"})
        assert (status, five_answers(answer)["code"]) == (409, "ENGINE_BUSY")
        engine.ask("POST", f"/v1/operations/{operation}/cancel")
        assert engine.end(operation)["state"] == "cancelled"


def test_a_cancelled_read_goes_on_where_it_stopped_and_the_report_says_so(root: Path) -> None:
    with running(root, "--pace", "40") as engine:
        job = engine.perform("identify")["job"]
        with engine.events() as events:
            operation = engine.begin("read", job=job)
            next(e for e in events if e["kind"] == "progress" and e["phase"] == "read_2")
        engine.ask("POST", f"/v1/operations/{operation}/cancel")
        assert engine.end(operation)["state"] == "cancelled"
        assert engine.ask("GET", f"/v1/jobs/{job}")[1]["state"] == "reading"
    with running(root) as successor:
        interrupted = successor.ask("GET", f"/v1/jobs/{job}/report")[1]["interruptions"]
        assert [one["resumed"] for one in interrupted] == [False]
        assert interrupted[0]["phase"] in {"read_1", "read_2"}
        assert interrupted[0]["at_byte"] > 0
        successor.perform("read", job=job)
        report = successor.ask("GET", f"/v1/jobs/{job}/report")[1]
        assert [one["resumed"] for one in report["interruptions"]] == [True]
        assert report["reads"][0]["sha256"] == report["reads"][1]["sha256"]


def test_a_write_may_be_cancelled_until_it_erases_and_never_after(root: Path) -> None:
    with running(root) as engine:
        job = engine.read_job()
        image = _tuned(engine, job)
    stock = engine.memory()
    with running(root, "--pace", "8") as slow:
        operation = slow.begin("write", job=job, upload=slow.hand_in(image), correct_checksums=True)
        with slow.events() as events:
            next(events)
            assert slow.ask("POST", f"/v1/operations/{operation}/cancel")[0] == 200
        assert slow.end(operation)["state"] == "cancelled"
        assert slow.memory() == stock
        assert slow.ask("GET", f"/v1/jobs/{job}")[1]["state"] == "read_verified"
        assert slow.ask("GET", "/v1/snapshot")[1]["recoverable"] == []
        with slow.events() as events:
            operation = slow.begin("write", job=job, upload=slow.hand_in(image), correct_checksums=True)
            next(e for e in events if e["kind"] == "progress" and e["phase"] == "write")
            status, answer = slow.ask("POST", f"/v1/operations/{operation}/cancel")
            assert (status, five_answers(answer)["code"]) == (409, "TOO_LATE_TO_CANCEL")
            assert answer["ecu"] == "half_written"
        assert slow.end(operation)["state"] == "done"
        assert slow.memory() != stock


def _tuned(engine: Engine, job: str) -> bytes:
    """The image with 256 bytes of its last region changed."""
    status, image = engine.ask("GET", f"/v1/jobs/{job}/export?format=bin")
    assert status == 200
    changed = bytearray(image)
    for at in range(len(image) - 0x8000, len(image) - 0x7F00):
        changed[at] ^= 0x55
    return bytes(changed)


def test_a_client_that_does_not_read_misses_nothing_and_disturbs_nobody(root: Path) -> None:
    """As far behind as the memory for events allows: with less of it there is less to do."""
    operations = 260
    with running(root, recent_events=64) as engine:
        deaf = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.settimeout(30)
        deaf.connect(str(engine.socket))
        deaf.sendall(b"GET /v1/events?after=0&follow=1 HTTP/1.0\r\nHost: engine\r\n\r\n")
        for _ in range(operations):
            engine.fail("verify", job="unknown")
        lines = iter(deaf.makefile("rb"))
        next(line for line in lines if line == b"\r\n")
        told = (json.loads(line) for line in lines)
        assert next(told)["kind"] == "snapshot"
        heard = list(
            islice((one for one in told if one["kind"] in ("operation", "behind")), 2 * operations + 1)
        )
        assert [one["kind"] for one in heard].count("behind") == 1, "it is told to catch up"
        ended = [one for one in heard if one.get("state") == "failed"]
        assert len({one["id"] for one in ended}) == operations
        deaf.close()


def test_what_happened_is_told_by_number_over_a_restart(root: Path) -> None:
    with running(root, "--pace", "20") as engine:
        job = engine.perform("identify")["job"]
        assert _told_after(engine, 0)[0]["kind"] == "operation"
        begun = engine.ask("POST", "/v1/operations", {"verb": "read", "job": job})[1]
        with engine.events() as events:
            next(event for event in events if event["kind"] == "progress")
            kill(engine)
    with running(root) as successor:
        rest = _told_after(successor, begun["after"])
        states = [one["state"] for one in rest if one["kind"] == "operation"]
        assert states == ["running", "interrupted"]
        asked = [one["actor"] for one in rest if one["kind"] == "operation"]
        assert asked == [{"role": "operator", "uid": os.getuid()}, {"role": "box", "uid": None}]
        kept = successor.ask("GET", "/v1/operations")[1]
        assert [(one["verb"], one["state"]) for one in kept] == [
            ("read", "interrupted"),
            ("identify", "done"),
        ]
        assert kept[1]["result"]["job"] == job
        assert successor.ask("GET", f"/v1/operations/{begun['id']}")[1] == kept[0]
        status, error = successor.ask("GET", "/v1/events?after=x")
        assert (status, five_answers(error)["code"]) == (400, "PARAMETERS_INVALID")


def _told_after(engine: Engine, after: int) -> list[dict[str, Any]]:
    """Every event behind a number, page by page."""
    found: list[dict[str, Any]] = []
    more = True
    while more:
        page = engine.ask("GET", f"/v1/events?after={after}")[1]
        found += page["events"]
        after, more = page["last"], page["more"]
    return found


# --- bad input ------------------------------------------------------------------------------------


def test_a_file_of_1_gib_is_refused_before_it_is_taken_in(shared: Engine) -> None:
    before = _peak_kib(shared.pid)
    client = Client(shared.socket)
    client.putrequest("POST", "/v1/uploads")
    client.putheader("Content-Length", str(1 << 30))
    client.endheaders()
    answer = client.getresponse()
    assert answer.status == 413
    assert five_answers(json.loads(answer.read()))["code"] == "FILE_TOO_LARGE"
    client.close()
    assert _peak_kib(shared.pid) - before < 8 * 1024


def test_a_file_of_unknown_length_is_cut_off_at_the_limit(shared: Engine) -> None:
    client = Client(shared.socket)
    piece = bytes(1 << 20)
    with suppress(BrokenPipeError, ConnectionResetError):  # what the engine said is still there to be read
        client.request("POST", "/v1/uploads", iter([piece] * 200), encode_chunked=True)
    answer = client.getresponse()
    assert answer.status == 413
    client.close()
    assert _peak_kib(shared.pid) < 400 * 1024


def _peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda image: b"", "FILE_LENGTH"),
        (lambda image: image[:-1], "FILE_LENGTH"),
        (lambda image: image + bytes(16), "FILE_LENGTH"),
        (lambda image: b"S1130000" + b"zz" * 20 + b"\n", "FILE_LENGTH"),
        (lambda image: b":10000000" + b"00" * 20 + b"\n", "FILE_FORMAT"),
        (lambda image: bytes([image[0] ^ 1]) + image[1:], "FILE_CHANGES_FIXED"),
        (lambda image: image[:0x9000] + bytes(16) + image[0x9010:], "GATES_REFUSED"),
        (lambda image: image[:-1] + bytes([image[-1] ^ 1]), "GATES_REFUSED"),
    ],
    ids=[
        "empty",
        "truncated",
        "too long",
        "no record",
        "bad record",
        "fixed region",
        "undeclared",
        "checksum",
    ],
)
def test_a_masters_plain_file_that_does_not_fit_is_refused(
    mastered: tuple[Engine, str, bytes], change: object, code: str
) -> None:
    engine, job, image = mastered
    assert callable(change)
    before = engine.memory()
    error = engine.fail("write", job=job, upload=engine.hand_in(change(image)))
    assert error["code"] == code
    assert error["ecu"] == "untouched"
    assert engine.memory() == before
    assert engine.ask("GET", f"/v1/jobs/{job}/report")[1]["result"] == code


@pytest.fixture(scope="module")
def mastered() -> Iterator[tuple[Engine, str, bytes]]:
    """A master-role engine with a job that is read, and the image it read."""
    with place() as folder, running(folder) as engine:
        job = engine.read_job()
        status, image = engine.ask("GET", f"/v1/jobs/{job}/export?format=bin")
        assert status == 200
        yield engine, job, image


def test_an_upload_is_forgotten_once_it_was_used(mastered: tuple[Engine, str, bytes]) -> None:
    engine, job, image = mastered
    upload = engine.hand_in(image[:-1])
    assert engine.fail("write", job=job, upload=upload)["code"] == "FILE_LENGTH"
    assert engine.fail("write", job=job, upload=upload)["code"] == "UPLOAD_UNKNOWN"


@pytest.mark.parametrize(
    "parameters",
    [
        {"use": "racing on my street"},
        {"changed_regions": ["nowhere"]},
        {"changed_regions": "cal"},
        {"unknown": 1},
    ],
)
def test_wrong_statements_about_a_file_are_refused(
    mastered: tuple[Engine, str, bytes], parameters: dict[str, object]
) -> None:
    engine, job, image = mastered
    asked = {"verb": "write", "job": job, "upload": engine.hand_in(image), **parameters}
    status, answer = engine.ask("POST", "/v1/operations", asked)
    error = engine.end(answer["id"])["error"] if status == 202 else answer
    assert five_answers(error)["code"] in {"PARAMETERS_INVALID", "REGION_UNKNOWN"}


def test_a_stored_file_of_nothing_is_never_verified_as_equal(mastered: tuple[Engine, str, bytes]) -> None:
    engine, job, _ = mastered
    error = engine.fail("verify", job=job, file="00000000-0000-4000-8000-000000000000")
    assert error["code"] == "VAULT_IMAGE_MISSING"


def test_a_slave_exports_nothing(root: Path) -> None:
    with running(root, role="slave") as engine:
        job = engine.read_job()
        status, answer = engine.ask("GET", f"/v1/jobs/{job}/export?format=bin")
        assert (status, five_answers(answer)["code"]) == (400, "VAULT_SLAVE_NO_EXPORT")


# --- the disk -------------------------------------------------------------------------------------


@contextmanager
def _small_disk(path: Path, size: str) -> Iterator[None]:
    path.mkdir()
    options = f"size={size},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "pitbox-test", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def _remount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)


@NEEDS_ROOT
def test_a_full_disk_stops_the_read_and_with_room_it_goes_on(root: Path) -> None:
    with _small_disk(root / "state", "300k"):
        engine = simulated(root).start()
        try:
            job = engine.perform("identify")["job"]
            error = engine.fail("read", job=job)
            assert error["code"] in {"VAULT_DISK_FULL", "STORAGE_FAILED"}
            _remount(engine.state, "size=8m")
            assert engine.perform("read", job=job)["full"]
        finally:
            engine.stop()


@NEEDS_ROOT
def test_a_disk_without_inodes_stops_a_write_before_it_begins_and_with_some_it_goes_on(root: Path) -> None:
    """Bytes are free, and no file can be made: nothing is begun that could not be kept."""
    with _small_disk(root / "state", "64m"):
        engine = simulated(root).start()
        try:
            job = engine.read_job()
            image, stock = _tuned(engine, job), engine.memory()
            room = os.statvfs(engine.state)
            _remount(engine.state, f"nr_inodes={room.f_files - room.f_ffree}")
            upload = engine.hand_in(image)
            errors = [
                engine.fail("write", job=job, upload=upload, correct_checksums=True),
                engine.fail("restore", job=job),
            ]
            for error in errors:
                assert error["code"] in {"VAULT_DISK_FULL", "STORAGE_FAILED"}
                assert error["ecu"] == "untouched"
            assert engine.memory() == stock
            assert engine.ask("POST", "/v1/secrets/payload_key", bytes(range(16)))[0] == 507
            _remount(engine.state, f"nr_inodes={room.f_files}")
            upload = engine.hand_in(image)
            done = engine.perform("write", job=job, upload=upload, correct_checksums=True)
            assert done["result"] == "done"
            assert engine.perform("restore", job=job)["result"] == "restored"
            assert engine.memory() == stock
        finally:
            engine.stop()


@contextmanager
def _read_only(path: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", str(path), str(path)], check=True)
    try:
        _remount(path, "bind,ro")
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@NEEDS_ROOT
def test_a_disk_that_turns_read_only_stops_a_write_before_it_begins(root: Path) -> None:
    with running(root) as engine:
        job = engine.read_job()
        image, before = _tuned(engine, job), engine.memory()
        with _read_only(engine.state / "blobs"):
            error = engine.fail("write", job=job, upload=engine.hand_in(image), correct_checksums=True)
            assert error["code"] == "VAULT_DISK_READ_ONLY"
            assert engine.memory() == before
            assert engine.ask("GET", f"/v1/jobs/{job}")[1]["state"] == "read_verified"
        engine.perform("write", job=job, upload=engine.hand_in(image), correct_checksums=True)


@NEEDS_ROOT
def test_a_read_only_disk_is_told_at_the_start(root: Path) -> None:
    with running(root):
        pass
    with _read_only(root / "state"):
        assert simulated(root).refuse_to_start().startswith("STATE_UNUSABLE: ")


# --- plaintext ------------------------------------------------------------------------------------


def test_no_file_of_the_box_and_no_log_ever_holds_plaintext(root: Path) -> None:
    with running(root) as engine:
        job = engine.read_job()
        stock = engine.memory()
        upload = engine.hand_in(_tuned(engine, job))
        engine.perform("write", job=job, upload=upload, correct_checksums=True)
        engine.fail("write", job=job, upload=engine.hand_in(stock[:-1]))
        windows = _windows(stock) | _windows(engine.memory())
        environment = Path(f"/proc/{engine.pid}/environ").read_bytes()
        assert not _found(environment, windows)
    files = [path for path in engine.state.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        assert not _found(path.read_bytes(), windows), path
    assert _found(stock[7:], windows), "the search does find plaintext"


def _windows(memory: bytes) -> set[bytes]:
    """Aligned pieces of 64 bytes that are not blank: whoever holds 127 bytes of memory holds one of them."""
    pieces = {memory[at : at + 64] for at in range(0, len(memory), 64)}
    return {piece for piece in pieces if len(set(piece)) > 8}


def _found(data: bytes, windows: set[bytes]) -> bool:
    return any(data[at : at + 64] in windows for at in range(len(data) - 63))


def test_the_running_engine_cannot_dump_core(shared: Engine) -> None:
    limits = Path(f"/proc/{shared.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


@NEEDS_ROOT
def test_its_own_user_cannot_look_into_its_memory(shared: Engine) -> None:
    """Not dumpable: even /proc/PID/mem is then for processes with CAP_SYS_PTRACE alone (ptrace(2))."""
    attempt = subprocess.run(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "cat", f"/proc/{shared.pid}/environ"],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert attempt.returncode != 0
    assert "Permission denied" in attempt.stderr


# --- life and death -------------------------------------------------------------------------------


@pytest.mark.parametrize(("pack", "result"), [("pbx-t300", "done"), ("pbx-x050", "needs_bench")])
def test_after_a_kill_in_the_middle_of_a_write_the_next_engine_finishes(
    root: Path, pack: str, result: str
) -> None:
    """Engine and car lose their supply together; the second ECU has no bootloader of its own."""
    with running(root, pack=pack) as engine:
        job = engine.read_job()
        image = _tuned(engine, job)
    slow = simulated(root, "--pace", "8", pack=pack).start()
    with slow.events() as events:
        slow.begin("write", job=job, upload=slow.hand_in(image), correct_checksums=True)
        next(e for e in events if e["kind"] == "progress" and e["phase"] == "write" and e["done_bytes"])
        kill(slow)
    with running(root, pack=pack) as successor:
        assert [one["id"] for one in successor.ask("GET", "/v1/snapshot")[1]["recoverable"]] == [job]
        done = successor.end(successor.begin("recover"))
        report = successor.ask("GET", f"/v1/jobs/{job}/report")[1]
        assert report["result"] == result
        assert done["state"] == ("done" if result == "done" else "failed")
        struck = report["interruptions"][0]
        assert (struck["phase"], struck["resumed"]) == ("write", True)


@pytest.fixture(scope="module")
def read_once() -> Iterator[tuple[Path, str, bytes]]:
    """A box that has read its car, the job, and a tuned image: read once for all that go on from there."""
    with place() as folder:
        with running(folder) as engine:
            job = engine.read_job()
            image = _tuned(engine, job)
        yield folder, job, image


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGHUP, signal.SIGHUP]])
def test_the_end_waits_for_a_write_that_has_begun(
    root: Path, read_once: tuple[Path, str, bytes], numbers: list[int]
) -> None:
    before, job, image = read_once
    for name in ("state", "car"):
        shutil.copytree(before / name, root / name)
    slow = simulated(root, "--pace", "8").start()
    with slow.events() as events:
        slow.begin("write", job=job, upload=slow.hand_in(image), correct_checksums=True)
        next(e for e in events if e["kind"] == "progress" and e["phase"] == "write")
        slow.signal(numbers[0])
        assert "a write that has begun is finished first" in slow.said()
        for again in numbers[1:]:
            slow.signal(again)
        last = [event for event in events if event["kind"] == "operation"][-1]
    assert last["state"] == "done"
    assert slow.wait() == 0
    with running(root) as successor:
        assert successor.ask("GET", f"/v1/jobs/{job}")[1]["state"] == "done"
        assert successor.perform("verify", job=job)["blocks"] > 0


def test_the_end_cancels_what_has_not_touched_the_ecu(root: Path) -> None:
    engine = simulated(root, "--pace", "5").start()
    job = engine.perform("identify")["job"]
    with engine.events() as events:
        engine.begin("read", job=job)
        next(e for e in events if e["kind"] == "progress")
        engine.signal(signal.SIGTERM)
        assert engine.wait() == 0


def test_systemd_is_told_of_the_start_and_of_every_sign_of_life(root: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(root / "notify"))
        manager.settimeout(HANG_S)
        engine = simulated(root)
        try:
            engine.start(NOTIFY_SOCKET=str(root / "notify"), WATCHDOG_USEC="200000")
            heard = [manager.recv(100) for _ in range(5)]
            assert heard.count(b"READY=1") == 1
            assert heard.count(b"WATCHDOG=1") == 4
        finally:
            engine.stop()
        rest = iter(lambda: manager.recv(100), b"STOPPING=1")
        assert set(rest) <= {b"WATCHDOG=1"}


_WITH_A_FAULT = """
import asyncio, sys
from appliance.engine import serving
from appliance.engine.program import main
kind = sys.argv.pop(1)
plain = serving.open_box

def raising():
    raise RuntimeError("planted")

async def dying():
    raise RuntimeError("planted")

def planted(settings, connection, emit):
    loop = asyncio.get_running_loop()
    if kind == "callback":
        loop.call_later(0, raising)
    elif kind == "task":
        asyncio.ensure_future(dying())
    else:
        loop.call_soon(loop.stop)
    return plain(settings, connection, emit)

serving.open_box = planted
sys.exit(main())
"""


@pytest.mark.parametrize("kind", ["callback", "task", "thread"])
def test_a_part_that_dies_takes_the_process_with_it(root: Path, kind: str) -> None:
    arguments = ["--state", str(root / "state"), "--socket", str(root / "engine.sock"), "--simulate", PACK]
    done = subprocess.run(
        [sys.executable, "-c", _WITH_A_FAULT, kind, *arguments],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == os.EX_SOFTWARE, done
    assert "the engine ends itself" in (root / "state" / "log" / "engine.log").read_text()


def test_http_errors_are_json_too(shared: Engine) -> None:
    for method, path, status in (("GET", "/nowhere", 404), ("DELETE", "/v1/jobs", 405), ("GET", "/", 404)):
        answered, answer = shared.ask(method, path)
        assert answered == status
        assert five_answers(answer)["code"] == f"HTTP_{status}"


def test_an_engine_is_asked_by_plain_http(shared: Engine) -> None:
    client = Client(shared.socket)
    client.request("GET", "/v1/snapshot")
    answer: http.client.HTTPResponse = client.getresponse()
    assert json.loads(answer.read())["kind"] == "snapshot"
    client.close()
