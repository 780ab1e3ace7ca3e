"""Users have roles and requests have permissions: the web never holds a file in the clear."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from appliance.contract.roles import EVERYBODY, OPERATOR_ONLY, PeerRole
from appliance.engine.api import Api
from appliance.engine.options import parse
from appliance.engine.peers import PeerRoles
from appliance.engine.routes import Route, add_routes, permitted
from tests.support.engine import Client, Engine, five_answers, place, running

PIECE_BYTES = 16
NOTHING: Any = None


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """A master-role box whose only client is the web."""
    with place() as folder, running(folder, "--web-uid", str(os.getuid())) as one:
        yield one


@pytest.fixture(scope="module")
def job(engine: Engine) -> str:
    return engine.read_job()


def _answers() -> list[Route]:
    return list(Api(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING).routes())


def _answer(engine: Engine, route: Route, of: str) -> tuple[int, bytes]:
    """The first of an answer: all of it, or the first line of a stream that has no end."""
    client = Client(engine.socket)
    try:
        client.request(
            route.method, route.path.replace("{id}", of), b"{}" if route.method == "POST" else None
        )
        answer = client.getresponse()
        return answer.status, answer.readline() if answer.chunked else answer.read()
    finally:
        client.close()


def _pieces(memory: bytes) -> list[bytes]:
    """Pieces of a memory that are in nothing else."""
    found = (memory[at : at + PIECE_BYTES] for at in range(0, len(memory), 4096))
    return [piece for piece in found if len(set(piece)) > PIECE_BYTES // 2]


def _refuse_plaintext(answer: bytes, memory: bytes) -> None:
    pieces = _pieces(memory)
    assert len(pieces) > 10
    for piece in pieces:
        assert piece not in answer
        assert piece.hex().encode() not in answer.lower()
        assert base64.b64encode(piece[:15]) not in answer


@pytest.mark.parametrize("route", _answers(), ids=lambda route: f"{route.method} {route.path}")
def test_no_request_gives_the_web_a_file_in_the_clear(engine: Engine, job: str, route: Route) -> None:
    done = engine.begin("verify", job=job)
    engine.end(done)
    for of in (job, done):
        status, answer = _answer(engine, route, of)
        _refuse_plaintext(answer, engine.memory())
        assert (b"ROLE_REFUSED" in answer) == (PeerRole.WEB not in route.roles), (status, answer)


@pytest.mark.parametrize("wanted", ["bin", "ihex", "srec"])
def test_the_web_exports_nothing_not_even_from_a_master(engine: Engine, job: str, wanted: str) -> None:
    status, error = engine.ask("GET", f"/v1/jobs/{job}/export?format={wanted}")
    assert (status, five_answers(error)["code"]) == (403, "ROLE_REFUSED")


def test_no_file_in_the_clear_comes_through_the_web(engine: Engine) -> None:
    status, error = engine.ask("POST", "/v1/uploads", b"\0" * 1024)
    assert (status, five_answers(error)["code"]) == (403, "PLAINTEXT_REFUSED")
    assert engine.ask("POST", "/v1/uploads", b"PK\x03\x04 sealed")[0] == 201


def test_the_operator_may_export(tmp_path: Any) -> None:
    with place() as folder, running(folder) as one:
        status, content = one.ask("GET", f"/v1/jobs/{one.read_job()}/export")
        assert (status, content) == (200, one.memory())


def test_root_and_the_engines_own_user_are_operators_unless_named_otherwise() -> None:
    plain = PeerRoles()
    assert plain.of(0) is plain.of(os.getuid()) is PeerRole.OPERATOR
    assert plain.of(4242) is None
    named = PeerRoles(operators=frozenset({4242, 33}), web=frozenset({33, 0}))
    assert named.of(4242) is PeerRole.OPERATOR
    assert named.of(33) is named.of(0) is PeerRole.WEB, "the role that may do less counts"


def test_roles_are_named_at_the_start() -> None:
    settings = parse(["--allow-uid", "1", "--web-uid", "33", "--web-uid", "34"])
    assert settings.peer_roles == PeerRoles(frozenset({1}), frozenset({33, 34}))


async def _handled(request: web.Request) -> web.Response:
    return web.Response()


def test_a_route_without_a_stated_permission_does_not_start() -> None:
    with pytest.raises(ValueError, match="states no role"):
        Route("GET", "/v1/secret", _handled, frozenset(), "A test", dict)
    with pytest.raises(ValueError, match="in the clear to the web"):
        Route("GET", "/v1/secret", _handled, EVERYBODY, "A test", dict, plaintext=True)


def test_an_application_with_a_route_past_the_table_does_not_start() -> None:
    app = web.Application()
    add_routes(app, [Route("GET", "/v1/stated", _handled, OPERATOR_ONLY, "A test", dict)])
    app.router.add_post("/v1/stated", _handled)

    with pytest.raises(RuntimeError, match="POST /v1/stated states no role"):
        asyncio.run(web.AppRunner(app).setup())


def test_what_was_never_stated_is_permitted_to_nobody() -> None:
    app = web.Application()
    add_routes(app, [])
    app.router.add_get("/v1/past", _handled)

    async def asked() -> frozenset[PeerRole]:
        request = make_mocked_request("GET", "/v1/past", app=app)
        request._match_info = await app.router.resolve(request)
        request._match_info.add_app(app)
        return permitted(request)

    assert asyncio.run(asked()) == frozenset()
