"""HTTP over the engine's UNIX socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from appliance.cli.problems import EngineUnreachableError, LocalError
from appliance.contract.errors import EcuSafety, PitboxError

ANSWER_S = 120.0
"""Longer than the engine ever lets a request wait."""
_SILENCE_S = 60.0
"""Without even a heartbeat on a live stream; the engine sends one every few seconds."""
_BROKEN = (OSError, http.client.HTTPException, ValueError)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float | None) -> None:
        super().__init__("pitbox", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class EngineClient:
    """One engine. Every method raises PitboxError: the engine's own, or EngineUnreachableError."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    def get(self, path: str) -> Any:
        """JSON from the engine."""
        return self._json("GET", path, None)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send JSON, get JSON."""
        return self._json("POST", path, json.dumps(body or {}).encode())

    def safety(self, job: str | None = None) -> dict[str, Any]:
        """How the ECU of a job stands, or of every job, and each write that is not over."""
        found: dict[str, Any] = self.get("/v1/safety" + (f"?job={job}" if job else ""))
        return found

    def upload(self, data: bytes) -> str:
        """Hand in a file; returns the id the engine keeps it under."""
        return str(self._json("POST", "/v1/uploads", data)["upload"])

    def put_secret(self, name: str, of: str | None, value: bytes) -> Any:
        """Hand in one of the owner's secrets."""
        return self._json("POST", _secret(name, of), value)

    def remove_secret(self, name: str, of: str | None) -> Any:
        """Have one wiped."""
        return self._json("DELETE", _secret(name, of), None)

    def download(self, path: str) -> bytes:
        """Bytes from the engine."""
        return self._request("GET", path, None)

    def events(self, after: int | None = None) -> Iterator[dict[str, Any]]:
        """The snapshot, then every event behind a number until the stream ends, for whatever reason.

        Without a number: what happens from now on.
        """
        connection = _UnixConnection(self._path, _SILENCE_S)
        place = "/v1/events" if after is None else f"/v1/events?after={after}&follow=1"
        try:
            yield from self._lines(self._ask(connection, "GET", place, None))
        finally:
            connection.close()

    def told_after(self, after: int) -> Iterator[dict[str, Any]]:
        """Every event behind a number up to now."""
        more = True
        while more:
            page = self.get(f"/v1/events?after={after}")
            yield from page["events"]
            after, more = page["last"], page["more"]

    def _lines(self, response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
        if response.status != 200:
            raise _refusal(response.status, response.read())
        while True:
            try:
                line = response.readline()
                event = json.loads(line) if line else None
            except _BROKEN:
                return
            if event is None:
                return
            yield event

    def _json(self, method: str, path: str, body: bytes | None) -> Any:
        answer = self._request(method, path, body)
        try:
            return json.loads(answer)
        except ValueError as error:
            raise EngineUnreachableError(self._path, "what answers there is no Pitbox engine") from error

    def _request(self, method: str, path: str, body: bytes | None) -> bytes:
        connection = _UnixConnection(self._path, ANSWER_S)
        try:
            response = self._ask(connection, method, path, body)
            answer = self._body(response)
        finally:
            connection.close()
        if response.status >= 400:
            raise _refusal(response.status, answer)
        return answer

    def _ask(
        self, connection: _UnixConnection, method: str, path: str, body: bytes | None
    ) -> http.client.HTTPResponse:
        try:
            connection.request(method, path, body)
            return connection.getresponse()
        except _BROKEN as error:
            raise EngineUnreachableError(self._path, _why(error)) from error

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read()
        except _BROKEN as error:
            raise EngineUnreachableError(self._path, _why(error)) from error


def _secret(name: str, of: str | None) -> str:
    query = "" if of is None else f"?definition={quote(of, safe='')}"
    return f"/v1/secrets/{quote(name, safe='')}{query}"


def ask_safety(error: LocalError, client: EngineClient | None) -> None:
    """Have the engine say whether the ECU is safe; unknown where it cannot. None: there is no ECU."""
    if client is None:
        error.ecu = EcuSafety.UNTOUCHED
        return
    try:
        error.ecu = EcuSafety(client.safety(error.job)["ecu"])
    except (PitboxError, LookupError, TypeError, ValueError):
        error.ecu = EcuSafety.UNKNOWN


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _refusal(status: int, body: bytes) -> PitboxError:
    """The engine's five answers; another server's, as far as they go."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if isinstance(told, dict) and "code" in told:
        return PitboxError.from_dict(told)
    text = body.decode(errors="replace").strip()[:200]
    return PitboxError(
        f"HTTP_{status}",
        f"the engine refused the request: {text or status}",
        do_now="Engine and command line must be of the same version.",
    )
