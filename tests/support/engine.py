"""A running engine and a client of its socket, as another process sees them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance.contract.errors import ErrorTold

PACK = "pbx-x050"
HANG_S = 100.0
"""After this a process hangs: short of the limit of every test, and long for a machine that is busy."""


class Client(http.client.HTTPConnection):
    """HTTP over the engine's UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=HANG_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(HANG_S)
        self.sock.connect(str(self._path))


class Engine:
    """One engine process on `root`: state, socket and the simulated car's memory live there."""

    def __init__(
        self,
        root: Path,
        *arguments: str,
        role: str = "master",
        user: str | None = None,
        recent_events: int | None = None,
    ) -> None:
        """`recent_events` is how many it keeps in memory, if not as many as it does in a car."""
        self._command = _COMMAND if recent_events is None else _with_recent_events(recent_events)
        self.root, self.state, self.socket = root, root / "state", root / "engine.sock"
        self.arguments = ["--role", role, *arguments]
        self._user = user
        self.process: subprocess.Popen[str] | None = None

    def start(self, **environment: str) -> Engine:
        """Return once it listens. Raises AssertionError with what it said instead."""
        self.process = subprocess.Popen(
            [*self._command, "--state", str(self.state), "--socket", str(self.socket), *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            user=self._user,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "listening" in line, self.process.communicate(timeout=HANG_S)
        return self

    def refuse_to_start(self) -> str:
        """What it says on stderr when it does not start; its exit status must be 1."""
        done = subprocess.run(
            [*self._command, "--state", str(self.state), "--socket", str(self.socket), *self.arguments],
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
        assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
        return done.stderr

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def said(self) -> str:
        """The next line on its standard output."""
        assert self.process is not None and self.process.stdout is not None
        return self.process.stdout.readline()

    def wait(self) -> int:
        """Its exit status."""
        assert self.process is not None
        self.process.communicate(timeout=HANG_S)
        return self.process.returncode

    def stop(self) -> None:
        """End it, whatever it does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.communicate(timeout=HANG_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and the answer: parsed JSON, or bytes."""
        client = Client(self.socket)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            client.request(method, path, data, headers or {})
            answer = client.getresponse()
            content = answer.read()
        finally:
            client.close()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(content) if is_json else content

    def begin(self, verb: str, **parameters: Any) -> str:
        """Start an operation; gives its id."""
        status, answer = self.ask("POST", "/v1/operations", {"verb": verb, **parameters})
        assert status == 202, answer
        return str(answer["id"])

    def end(self, operation: str) -> dict[str, Any]:
        """The operation once it is over."""
        while True:
            _, answer = self.ask("GET", f"/v1/operations/{operation}?wait=30")
            if answer["state"] != "running":
                return dict(answer)

    def perform(self, verb: str, **parameters: Any) -> dict[str, Any]:
        """The result of an operation that must succeed."""
        done = self.end(self.begin(verb, **parameters))
        assert done["state"] == "done", done["error"]
        return dict(done["result"])

    def fail(self, verb: str, **parameters: Any) -> dict[str, Any]:
        """The error of an operation that must fail, its five answers checked."""
        done = self.end(self.begin(verb, **parameters))
        assert done["state"] == "failed", done
        return five_answers(done["error"])

    def read_job(self) -> str:
        """A job whose original is sealed."""
        job = str(self.perform("identify")["job"])
        self.perform("read", job=job)
        return job

    def hand_in(self, data: bytes) -> str:
        """An upload's id."""
        status, answer = self.ask("POST", "/v1/uploads", data)
        assert status == 201, answer
        return str(answer["upload"])

    def memory(self) -> bytes:
        """The simulated ECU's flash, as its file holds it."""
        return next((self.root / "car").glob("*.flash")).read_bytes()

    @contextmanager
    def events(self) -> Iterator[Iterator[dict[str, Any]]]:
        """The live stream, line by line."""
        client = Client(self.socket)
        client.request("GET", "/v1/events")
        answer = client.getresponse()
        try:
            yield (json.loads(line) for line in answer)
        finally:
            client.close()


_COMMAND: Sequence[str] = (sys.executable, "-m", "appliance.engine")


def _with_recent_events(count: int) -> Sequence[str]:
    code = (
        f"from appliance.engine import event_hub; event_hub.RECENT_EVENTS = {count}; "
        "import runpy; runpy.run_module('appliance.engine', run_name='__main__', alter_sys=True)"
    )
    return (sys.executable, "-c", code)


def five_answers(error: dict[str, Any]) -> dict[str, Any]:
    """The error, which must answer its five questions."""
    assert set(error) == set(ErrorTold.__annotations__)
    for key in ("code", "what", "ecu", "do_now", "log"):
        assert isinstance(error[key], str) and error[key], (key, error)
    return error


@contextmanager
def place() -> Iterator[Path]:
    """A folder with a short path (a UNIX socket's name has 107 bytes) that other users may enter."""
    with tempfile.TemporaryDirectory(prefix="pbx-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        yield root


@contextmanager
def running(root: Path, *arguments: str, **options: Any) -> Iterator[Engine]:
    """An engine with a simulated car, stopped in the end."""
    engine = simulated(root, *arguments, **options)
    try:
        yield engine.start()
    finally:
        engine.stop()


def simulated(root: Path, *arguments: str, pack: str = PACK, **options: Any) -> Engine:
    """An engine with a simulated car, not yet started."""
    return Engine(root, "--simulate", pack, "--car-data", str(root / "car"), *arguments, **options)


def kill(engine: Engine) -> None:
    """kill -9, and wait for the end."""
    engine.signal(signal.SIGKILL)
    assert engine.wait() == -signal.SIGKILL
