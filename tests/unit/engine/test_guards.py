from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from appliance.contract.errors import PitboxError
from appliance.engine.guards import errors_as_json
from tests.support.engine import five_answers

BOX: Any = SimpleNamespace(settings=SimpleNamespace(log_path="/var/lib/pitbox/log/engine.log"))


def answer(error: Exception) -> tuple[int, dict[str, Any]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        raise error

    async def scene() -> web.Response:
        response = await errors_as_json(BOX)(make_mocked_request("GET", "/"), handler)
        assert isinstance(response, web.Response)
        return response

    response = asyncio.run(scene())
    return response.status, five_answers(json.loads(response.text or ""))


def test_a_surprise_is_five_answers_and_a_trace_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    status, told = answer(ZeroDivisionError("by accident"))
    assert (status, told["code"], told["ecu"]) == (500, "INTERNAL", "unknown")
    assert told["log"] == BOX.settings.log_path
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("code", "status"),
    [("ENGINE_BUSY", 409), ("JOB_UNKNOWN", 404), ("FILE_LENGTH", 400), ("PEER_REFUSED", 403)],
)
def test_an_error_of_ours_keeps_its_code_and_names_the_log(code: str, status: int) -> None:
    answered, told = answer(PitboxError(code, "it did not work", do_now="Do better."))
    assert (answered, told["code"]) == (status, code)


def test_an_error_of_the_http_layer_keeps_its_status() -> None:
    assert answer(web.HTTPMethodNotAllowed("GET", ["POST"]))[0] == 405


def test_a_client_that_has_gone_is_told_nothing() -> None:
    with pytest.raises(ConnectionResetError):
        answer(ConnectionResetError())
