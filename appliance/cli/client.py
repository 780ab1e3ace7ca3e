"""HTTP over the engine's UNIX socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

from appliance.cli.problems import AnswerUnreadableError, EngineUnreachableError, LocalError
from appliance.cli.streaming import Streamed, streamed
from appliance.contract.checked import UnreadableError, checked
from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events_told import AnyEvent
from appliance.contract.told import EventPage, SafetyTold, SecretTold, UploadTold

Told = TypeVar("Told")

ANSWER_S = 120.0
"""Longer than the engine ever lets a request wait."""
_SILENCE_S = 60.0
"""Without even a heartbeat on a live stream; the engine sends one every few seconds."""


class EngineClient:
    """One engine. Every method raises PitboxError: the engine's own, or EngineUnreachableError."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    def get(self, path: str, kind: type[Told]) -> Told:
        """An answer of the engine, of this type."""
        return self._told("GET", path, None, kind)

    def post(self, path: str, kind: type[Told], body: Mapping[str, object] | None = None) -> Told:
        """Send JSON, get an answer of this type."""
        return self._told("POST", path, json.dumps(body or {}).encode(), kind)

    def safety(self, job: str | None = None) -> SafetyTold:
        """How the ECU of a job stands, or of every job, and each write that is not over."""
        return self.get("/v1/safety" + (f"?job={job}" if job else ""), SafetyTold)

    def upload(self, data: bytes) -> str:
        """Hand in a file; returns the id the engine keeps it under."""
        return self._told("POST", "/v1/uploads", data, UploadTold)["upload"]

    def put_secret(self, name: str, of: str | None, value: bytes, *, replace: bool = False) -> SecretTold:
        """Hand in one of the owner's secrets; with `replace` also in the place of one that a write needs."""
        return self._told("POST", _secret(name, of, "true" if replace else None), value, SecretTold)

    def remove_secret(self, name: str, of: str | None) -> SecretTold:
        """Have one wiped."""
        return self._told("DELETE", _secret(name, of), None, SecretTold)

    def download(self, path: str) -> bytes:
        """Bytes from the engine."""
        return self._request("GET", path, None)

    def events(self, after: int | None = None) -> Iterator[Streamed]:
        """The snapshot, then every event behind a number until the stream ends, for whatever reason.

        Without a number: what happens from now on. A line that cannot be read is told as such: what the
        engine does is followed to its end all the same.
        """
        from appliance.cli.unix_http import lines  # noqa: PLC0415 - `--help` need not wait for it

        place = "/v1/events" if after is None else f"/v1/events?after={after}&follow=1"
        yield from map(streamed, lines(self._path, _SILENCE_S, place))

    def told_after(self, after: int) -> Iterator[AnyEvent]:
        """Every event behind a number up to now."""
        more = True
        while more:
            page = self.get(f"/v1/events?after={after}", EventPage)
            yield from page["events"]
            after, more = page["last"], page["more"]

    def _told(self, method: str, path: str, body: bytes | None, kind: type[Told]) -> Told:
        answer = self._request(method, path, body)
        try:
            return checked(kind, json.loads(answer))
        except UnreadableError as error:
            raise AnswerUnreadableError(f"{method} {path.partition('?')[0]}", error) from error
        except ValueError as error:
            raise EngineUnreachableError(self._path, "what answers there is no Pitbox engine") from error

    def _request(self, method: str, path: str, body: bytes | None) -> bytes:
        from appliance.cli.unix_http import exchange  # noqa: PLC0415 - `--help` need not wait for it

        return exchange(self._path, ANSWER_S, method, path, body)


def _secret(name: str, of: str | None, replace: str | None = None) -> str:
    stated = {key: one for key, one in (("definition", of), ("replace", replace)) if one is not None}
    return f"/v1/secrets/{quote(name, safe='')}{'?' if stated else ''}{urlencode(stated)}"


def ask_safety(error: LocalError, client: EngineClient | None) -> None:
    """Have the engine say whether the ECU is safe; unknown where it cannot. None: there is no ECU."""
    if client is None:
        error.ecu = EcuSafety.UNTOUCHED
        return
    try:
        error.ecu = EcuSafety(client.safety(error.job)["ecu"])
    except (PitboxError, ValueError):
        error.ecu = EcuSafety.UNKNOWN
