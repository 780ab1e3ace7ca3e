"""An engine that says what it is told to, on a UNIX socket."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

JOB = {
    "id": "4a6f62000001",
    "state": "read_verified",
    "definition": "pbx-e400",
    "vin": "PBXTESTCAR0000E40",
    "hw": "PBX-E400-01",
    "sw": "E400-SW-0100",
    "original": "file-1",
    "created_at": 0.0,
}
PREVIEW = {
    "form": 2,
    "job": JOB["id"],
    "verb": "write",
    "kind": "tuned",
    "definition": "pbx-e400",
    "name": "PBX E400",
    "evidence": "simulated",
    "vin": JOB["vin"],
    "hw": JOB["hw"],
    "sw": JOB["sw"],
    "file": "ab" * 32,
    "target_sha256": "cd" * 32,
    "digest": "ef" * 32,
    "compared_with": "original",
    "left_out": [],
    "regions": [
        {
            "name": "calibration",
            "place": {"memory": "flash", "start": 0x60000, "length": 0x40000},
            "blocks": 4,
            "changed_bytes": 1234,
            "changed": {"memory": "flash", "start": 0x61000, "length": 0x2000},
        },
        {
            "name": "code",
            "place": {"memory": "flash", "start": 0, "length": 0x60000},
            "blocks": 6,
            "changed_bytes": 0,
            "changed": None,
        },
    ],
    "rituals": ["Connect a support unit."],
    "access": "obd",
    "definition_sha256": "12" * 32,
    "asked": {"job": JOB["id"], "car": None, "engine_off": False},
    "gates": [{"name": "signatures", "verdict": "pass", "detail": "they hold"}],
    "refused": [],
}


def snapshot(operation: dict[str, Any] | None = None, **latest: dict[str, Any]) -> dict[str, Any]:
    """All that holds now."""
    return {
        "kind": "snapshot",
        "role": "master",
        "device": "box",
        "simulated": True,
        "voltmeter_missing": None,
        "supply": None,
        "protection_gaps": [],
        "journal_differences": [],
        "stored_files": {"rounds": 0, "rot": []},
        "operation": operation,
        "recoverable": [],
        "questions": [],
        "seq": 0,
        "latest": {kind: event(**one) for kind, one in latest.items()},
    }


_OF_STREAMS = ("snapshot", "heartbeat", "behind", "of a newer engine")
_OF_KIND: dict[str, dict[str, Any]] = {
    "state": {"before": None},
    "progress": {"bytes_per_s": 0.0, "wire_share": None, "eta_s": None},
    "gates": {"changes": []},
    "operation": {"parameters_sha256": ""},
    "proposal": {
        "state": "open",
        "digest": "",
        "waits_for": [],
        "by": None,
        "operation": None,
        "why": None,
    },
}


def event(**told: Any) -> dict[str, Any]:
    """An event, with what every event of its kind tells besides."""
    if told["kind"] == "gates":
        judged = {"findings": [], "question": "?", "waiver": None}
        told = told | {"gates": [judged | gate for gate in told["gates"]]}
    every = {"seq": 0, "at": 0.0, "actor": None, "job_id": None}
    return every | _OF_KIND.get(told["kind"], {}) | told


IDLE = snapshot()


def operation(state: str = "running", verb: str = "read", **more: Any) -> dict[str, Any]:
    """An operation as the engine tells it."""
    told = {
        "id": "op-1",
        "verb": verb,
        "job": JOB["id"],
        "actor": {"role": "operator", "uid": 0},
        "state": state,
        "result": None,
        "error": None,
        "after": 0,
    }
    return told | more


@dataclass
class FakeEngine:
    """Scripted answers; everything asked is in `asked`."""

    socket: Path
    jobs: list[dict[str, Any]] = field(default_factory=lambda: [JOB])
    states: list[dict[str, Any]] = field(default_factory=list)
    """Answers to questions about the operation; the last one stays."""
    streams: list[list[dict[str, Any]]] = field(default_factory=list)
    """Events of each stream that is opened; each ends behind its last."""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """By path, without its query."""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    """Paths of the streams that were opened."""
    previews: list[dict[str, Any]] = field(default_factory=list)
    """What previews were asked for."""
    preview: dict[str, Any] = field(default_factory=lambda: PREVIEW)
    dead: bool = False
    """Drops every connection unanswered."""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body."""
        place = path.partition("?")[0]
        uploaded = place == "/v1/uploads" or place.startswith("/v1/secrets/")
        if place == "/v1/operations" and json.loads(body)["verb"] == "preview":
            self.previews.append(json.loads(body))
            return 202, json.dumps(operation(verb="preview") | {"id": "op-preview"}).encode()
        if place == "/v1/operations/op-preview":
            return 200, json.dumps(operation("done", "preview", result=self.preview)).encode()
        self.asked.append((f"{method} {path}", body if uploaded else json.loads(body or b"null")))
        if place in self.answers:
            return self.answers[place]
        known: dict[str, Any] = {
            "/v1/jobs": self.jobs,
            "/v1/uploads": {"upload": "up-1", "bytes": 1},
            "/v1/events": {"events": [], "after": 0, "last": 0, "more": False},
            "/v1/safety": {"ecu": "untouched", "open_writes": []},
        }
        if place == "/v1/operations":
            return 202, json.dumps(operation(verb=json.loads(body)["verb"])).encode()
        if place == "/v1/operations/op-1":
            return 200, json.dumps(self.states.pop(0) if len(self.states) > 1 else self.states[0]).encode()
        return 200, json.dumps(known[place]).encode()

    def stream(self) -> bytes:
        """All events of the next stream."""
        events = self.streams.pop(0) if self.streams else [IDLE]
        whole = [one if one["kind"] in _OF_STREAMS else event(**one) for one in events]
        return b"".join(json.dumps(one).encode() + b"\n" for one in whole)


@contextmanager
def serving(engine: FakeEngine) -> Iterator[FakeEngine]:
    """Answer until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            if engine.dead:
                self.close_connection = True
            else:
                super().handle_one_request()

        def do_GET(self) -> None:
            if self.path == "/v1/events" or "follow=1" in self.path:
                engine.followed.append(self.path)
                self._send(200, engine.stream())
            else:
                self._send(*engine.answer("GET", self.path, b""))

        def do_DELETE(self) -> None:
            self._send(*engine.answer("DELETE", self.path, b""))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(*engine.answer("POST", self.path, body))

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(str(engine.socket), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()
