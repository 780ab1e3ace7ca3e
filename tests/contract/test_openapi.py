"""The engine's OpenAPI document is true: what it says a client may send is answered as it says."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from requests.adapters import HTTPAdapter
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from appliance.contract.checked import checked
from appliance.contract.events_told import AnyEvent
from appliance.contract.roles import PeerRole
from appliance.contract.told import EventPage, Snapshot
from appliance.engine.api import Api
from appliance.engine.openapi import openapi
from tests.support.engine import HANG_S, Engine, five_answers, place, running

NOTHING: Any = None
ROUTES = Api(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING).routes()
ENDLESS = "/v1/events"
KINDS = [get_args(get_type_hints(kind)["kind"])[0] for kind in get_args(AnyEvent)]
SCHEMA = schemathesis.openapi.from_dict(openapi(ROUTES, "1"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class _Connection(HTTPConnection):
    """To a UNIX socket, whatever host is named."""

    path: Path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(HANG_S)
        self.sock.connect(str(self.path))


class _OverUnix(HTTPAdapter):
    def __init__(self, path: Path) -> None:
        self._pool = HTTPConnectionPool("engine")
        self._pool.ConnectionCls = type("Connection", (_Connection,), {"path": path})
        super().__init__()

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with place() as folder, running(folder) as one:
        one.read_job()
        yield one


@pytest.fixture(scope="module")
def session(engine: Engine) -> Iterator[requests.Session]:
    with requests.Session() as one:
        one.mount("http://", _OverUnix(engine.socket))
        yield one


@SCHEMA.exclude(path=ENDLESS).parametrize()
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_request_is_answered_as_the_document_says(
    case: schemathesis.Case, session: requests.Session
) -> None:
    case.call_and_validate(session=session, base_url="http://engine", checks=CHECKS, timeout=HANG_S)


def test_the_document_is_served_and_is_of_version_3_1(engine: Engine) -> None:
    status, told = engine.ask("GET", "/v1/openapi.json")
    assert (status, told["openapi"]) == (200, "3.1.0")
    assert told["paths"] == openapi(ROUTES, "1")["paths"]


def test_the_document_names_every_route_with_its_roles() -> None:
    document: Any = openapi(ROUTES, "1")
    told = {
        (method.upper(), path): set(one["x-roles"])
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    }
    assert told == {(route.method, route.path): set(route.roles) for route in ROUTES}
    assert told["GET", "/v1/jobs/{id}/export"] == {PeerRole.OPERATOR}


def test_a_page_of_events_is_as_the_document_says(engine: Engine) -> None:
    status, page = engine.ask("GET", f"{ENDLESS}?after=0")
    assert status == http.client.OK
    assert page["events"] and set(page) == {"events", "after", "last", "more"}


def test_a_body_of_another_type_is_answered_by_type(engine: Engine) -> None:
    for path in ("/v1/operations", "/v1/questions/q"):
        status, error = engine.ask("POST", path, {"unheard": 1})
        assert status == http.client.BAD_REQUEST
        five_answers(error)


def test_events_are_told_apart_by_their_kind() -> None:
    document: Any = openapi(ROUTES, "1")
    schemas = document["components"]["schemas"]
    of_a_page = schemas["EventPage"]["properties"]["events"]["items"]
    of_a_line = schemas["StreamTold"]
    lasting = schemas["Snapshot"]["properties"]["latest"]["additionalProperties"]
    for union in (of_a_page, of_a_line, lasting):
        told = union["discriminator"]
        assert told["propertyName"] == "kind"
        assert {one["$ref"] for one in union["oneOf"]} == set(told["mapping"].values())
        for kind, reference in told["mapping"].items():
            assert schemas[reference.rpartition("/")[2]]["properties"]["kind"]["const"] == kind
    assert set(of_a_page["discriminator"]["mapping"]) == set(KINDS)
    assert set(of_a_line["discriminator"]["mapping"]) == {*KINDS, "snapshot", "heartbeat", "behind"}
    lines = document["paths"][ENDLESS]["get"]["responses"]["200"]["content"]["application/x-ndjson"]
    assert lines["schema"]["contentSchema"] == {"$ref": "#/components/schemas/StreamTold"}


def test_everything_that_happened_is_as_the_document_says(engine: Engine) -> None:
    after, more, kinds = 0, True, set()
    while more:
        _, page = engine.ask("GET", f"{ENDLESS}?after={after}")
        checked(EventPage, page)
        kinds |= {event["kind"] for event in page["events"]}
        after, more = page["last"], page["more"]
    assert kinds >= {"state", "operation", "progress"} and kinds <= set(KINDS)
    checked(Snapshot, engine.ask("GET", "/v1/snapshot")[1])
