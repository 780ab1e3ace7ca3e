"""HTTP over a UNIX socket. It is imported with the first request alone: `--help` need not wait for it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

from appliance.cli.problems import EngineUnreachableError
from appliance.contract.errors import PitboxError

_BROKEN = (OSError, http.client.HTTPException, ValueError)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("pitbox", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def exchange(path: Path, timeout_s: float, method: str, place: str, body: bytes | None) -> bytes:
    """One request's answer. Raises PitboxError: the engine's own, or EngineUnreachableError."""
    connection = _UnixConnection(path, timeout_s)
    try:
        connection.request(method, place, body)
        response = connection.getresponse()
        answer = response.read()
    except _BROKEN as error:
        raise EngineUnreachableError(path, _why(error)) from error
    finally:
        connection.close()
    if response.status >= 400:
        raise _refusal(response.status, answer)
    return answer


def lines(path: Path, timeout_s: float, place: str) -> Iterator[object]:
    """JSON lines until the stream ends, for whatever reason. Raises PitboxError before the first."""
    connection = _UnixConnection(path, timeout_s)
    try:
        try:
            connection.request("GET", place)
            response = connection.getresponse()
            refused = response.read() if response.status != 200 else None
        except _BROKEN as error:
            raise EngineUnreachableError(path, _why(error)) from error
        if refused is not None:
            raise _refusal(response.status, refused)
        yield from _documents(response)
    finally:
        connection.close()


def _documents(response: http.client.HTTPResponse) -> Iterator[object]:
    while True:
        try:
            line = response.readline()
            document = json.loads(line) if line else None
        except _BROKEN:
            return
        if document is None:
            return
        yield document


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
