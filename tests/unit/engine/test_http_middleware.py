from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.engine import http_middleware
from appliance.engine.http_middleware import errors_as_json
from appliance.flashing.journal import Journal
from simulator.virtualtime import run_virtual
from tests.support.box import mac
from tests.support.engine import five_answers

LOG = "/var/lib/pitbox/log/engine.log"


class Worker:
    """Runs what it is asked to at once."""

    async def call(self, function: Callable[[], Any]) -> Any:
        return function()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    one = Journal(tmp_path / "journal.db", lambda: 0.0, mac)
    yield one
    one.close()


def answer(error: Exception, journal: Journal) -> tuple[int, dict[str, Any]]:
    box: Any = SimpleNamespace(settings=SimpleNamespace(log_path=LOG), writing=False, journal=journal)
    worker: Any = Worker()

    async def handler(request: web.Request) -> web.StreamResponse:
        raise error

    async def scene() -> web.Response:
        response = await errors_as_json(box, worker)(make_mocked_request("GET", "/"), handler)
        assert isinstance(response, web.Response)
        return response

    response = asyncio.run(scene())
    return response.status, five_answers(json.loads(response.text or ""))


def test_a_surprise_is_five_answers_and_a_trace_in_the_log(
    caplog: pytest.LogCaptureFixture, journal: Journal
) -> None:
    status, told = answer(ZeroDivisionError("by accident"), journal)
    assert (status, told["code"], told["ecu"]) == (500, "INTERNAL", "untouched")
    assert told["log"] == LOG
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("code", "status"),
    [("ENGINE_BUSY", 409), ("JOB_UNKNOWN", 404), ("FILE_LENGTH", 400), ("PEER_REFUSED", 403)],
)
def test_an_error_of_ours_keeps_its_code_and_names_the_log(code: str, status: int, journal: Journal) -> None:
    answered, told = answer(PitboxError(code, "it did not work", do_now="Do better."), journal)
    assert (answered, told["code"]) == (status, code)


@pytest.mark.parametrize(("code", "ecu"), [("PEER_REFUSED", "unknown"), ("ENGINE_BUSY", "half_written")])
def test_a_stranger_learns_nothing_of_the_ecu(code: str, ecu: str, journal: Journal) -> None:
    journal.create_job("a")
    for state in (JobState.IDENTIFIED, JobState.PREFLIGHT):
        journal.move("a", state)
    journal.next_block(journal.open_flash("a", "{}"), None, 0)
    told = answer(PitboxError(code, "it did not work", do_now="Do better."), journal)[1]
    assert told["ecu"] == ecu
    assert bool(told["details"]) == (ecu == "half_written")


def test_an_error_of_the_http_layer_keeps_its_status(journal: Journal) -> None:
    assert answer(web.HTTPMethodNotAllowed("GET", ["POST"]), journal)[0] == 405


def test_a_client_that_has_gone_is_told_nothing(journal: Journal) -> None:
    with pytest.raises(ConnectionResetError):
        answer(ConnectionResetError(), journal)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ENGINE_BUSY", 409),
        ("TOO_LATE_TO_CANCEL", 409),
        ("JOB_UNKNOWN", 404),
        ("OPERATION_UNKNOWN", 404),
        ("PEER_REFUSED", 403),
        ("FILE_TOO_LARGE", 413),
        ("INTERNAL", 500),
        ("STORAGE_FAILED", 507),
        ("JOURNAL_DAMAGED", 500),
        ("ENGINE_STOPPING", 503),
        ("UPLOAD_BUSY", 409),
        ("UPLOAD_STALLED", 408),
        ("ANYTHING_ELSE", 400),
    ],
)
def test_each_code_has_its_status(code: str, status: int, journal: Journal) -> None:
    assert answer(PitboxError(code, "what", do_now="now"), journal)[0] == status


def test_the_bounds_of_what_is_taken() -> None:
    assert http_middleware.MAX_FILE_BYTES == 64 << 20
    assert http_middleware.MAX_JSON_BYTES == 1 << 20


class Sender:
    """A body that arrives in parts, and ends or does not."""

    def __init__(self, parts: tuple[bytes, ...], ends: bool) -> None:
        self._parts = list(parts)
        self._ends = ends

    async def readany(self) -> bytes:
        if not self._parts and not self._ends:
            await asyncio.Event().wait()
        return self._parts.pop(0) if self._parts else b""


def body(*parts: bytes, most: int = 10, announced: int | None = None, ends: bool = True) -> bytes:
    """What is taken of a body."""
    request: Any = SimpleNamespace(content=Sender(parts, ends), content_length=announced)
    return asyncio.run(http_middleware.body_of(request, most))


def test_a_body_is_taken_up_to_its_bound() -> None:
    assert body(b"01234", b"56789", announced=10) == b"0123456789"
    assert body() == b""


@pytest.mark.parametrize(("parts", "announced"), [((b"01234", b"567890"), None), ((b"0",), 11)])
def test_a_body_beyond_its_bound_is_refused(parts: tuple[bytes, ...], announced: int | None) -> None:
    with pytest.raises(PitboxError, match="FILE_TOO_LARGE"):
        body(*parts, announced=announced)


def test_a_client_that_stops_in_the_middle_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_middleware, "STALLED_S", 0.01)
    with pytest.raises(PitboxError, match="UPLOAD_STALLED"):
        body(b"0123", ends=False)


def test_a_body_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then kept everybody else from handing in a file."""
    monkeypatch.setattr(http_middleware, "SLOWEST_BYTES_PER_S", 1e9)
    monkeypatch.setattr(Sender, "readany", dripping)
    with pytest.raises(PitboxError, match="UPLOAD_STALLED"):
        run_virtual(taken((b"0",) * 100_000, 10**6))


async def dripping(self: Sender) -> bytes:
    """A byte just before the box would stop waiting for one."""
    await asyncio.sleep(http_middleware.STALLED_S * 0.9)
    return b"0"


async def taken(parts: tuple[bytes, ...], most: int) -> bytes:
    request: Any = SimpleNamespace(content=Sender(parts, True), content_length=None)
    return await http_middleware.body_of(request, most)


@pytest.mark.parametrize(("text", "seconds"), [(None, 0.0), ("", 0.0), ("2.5", 2.5), ("-1", 0.0)])
def test_a_wait_is_seconds(text: str | None, seconds: float) -> None:
    assert http_middleware.seconds_of(text) == seconds


def test_a_wait_that_is_no_number_is_refused() -> None:
    with pytest.raises(PitboxError, match="PARAMETERS_INVALID"):
        http_middleware.seconds_of("soon")
