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
from appliance.engine.guards import errors_as_json
from appliance.flashing.journal import Journal
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
    box: Any = SimpleNamespace(settings=SimpleNamespace(log_path=LOG), journal=journal)
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
