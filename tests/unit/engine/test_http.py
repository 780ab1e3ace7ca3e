"""Whatever a client sends, the answer is JSON with five answers and never an accident of the engine."""

from __future__ import annotations

import json
import re
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.engine.socket_permissions import MOST_CONNECTIONS
from tests.support.engine import HANG_S, Client, Engine, five_answers, place, running

PATHS = (
    "/v1/snapshot",
    "/v1/operations",
    "/v1/operations/{}",
    "/v1/operations/{}/cancel",
    "/v1/uploads",
    "/v1/jobs",
    "/v1/jobs/{}",
    "/v1/jobs/{}/report",
    "/v1/jobs/{}/export",
    "/v1/originals",
    "/v1/definitions",
    "/{}",
)
VERBS = ("identify", "read", "write", "restore", "recover", "verify", "dtc", "", "format c:")
KEYS = (
    "job",
    "regions",
    "upload",
    "use",
    "changed_regions",
    "original",
    "definition",
    "file",
    "clear",
    "verb",
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with place() as folder, running(folder) as one:
        yield one


def answered(engine: Engine, method: str, path: str, body: bytes | None = None) -> int:
    """The status; the answer must be JSON, and five answers unless it is a success."""
    client = Client(engine.socket)
    try:
        client.request(method, path, body)
        answer = client.getresponse()
        content = answer.read()
    finally:
        client.close()
    assert answer.headers.get_content_type() == "application/json", content
    told = json.loads(content)
    if answer.status >= 400:
        five_answers(told)
    assert answer.status < 500, told
    if answer.status == 202:
        error = engine.end(told["id"])["error"]
        assert error is None or error["code"] != "INTERNAL", error
    return answer.status


_ids = st.one_of(
    st.text(max_size=80).map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")),
    st.sampled_from(["..", ".", "%00", "%ED%A0%80", "a" * 300, "'%20OR%201=1"]),
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=250, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.sampled_from(PATHS),
    name=_ids,
    query=st.sampled_from(
        ["", "?wait=nan", "?wait=-1", "?wait=x", "?wait=0", "?format=bin", "?format=%FF", "?format="]
    ),
    body=st.none() | st.binary(max_size=200),
)
def test_no_request_is_an_accident(
    engine: Engine, method: str, path: str, name: str, query: str, body: bytes | None
) -> None:
    answered(engine, method, path.format(name) + query, body)


@settings(max_examples=250, deadline=None)
@given(
    verb=st.sampled_from(VERBS) | _json, parameters=st.dictionaries(st.sampled_from(KEYS), _json, max_size=4)
)
def test_no_parameters_are_an_accident(engine: Engine, verb: object, parameters: dict[str, object]) -> None:
    body = json.dumps({**parameters, "verb": verb}).encode()
    assert answered(engine, "POST", "/v1/operations", body) in {202, 400}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b'{"verb": "\xed\xa0\x80"}',
        b'{"verb": "identify"',
        b"[]",
        b"null",
        b'"identify"',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"verb": "read", "job": "\\ud800"}',
        b'{"verb": "read", "job": "a\\u0000b"}',
        b'{"verb": "verify", "job": "x", "file": "../../keys/seed"}',
        b'{"verb": 1e999}',
        b'{"verb": ' + b"9" * 5000 + b"}",
    ],
)
def test_hostile_json_is_refused(engine: Engine, body: bytes) -> None:
    assert answered(engine, "POST", "/v1/operations", body) == 400


def test_json_of_more_than_a_mebibyte_is_refused(engine: Engine) -> None:
    assert answered(engine, "POST", "/v1/operations", b" " * (1 << 20) + b"{}") == 413


def connected(engine: Engine) -> Client:
    """A client that has connected and says nothing; a full backlog is tried again."""
    client = Client(engine.socket)
    while True:
        try:
            client.connect()
        except BlockingIOError:
            client.close()
        else:
            return client


def test_idle_connections_keep_nobody_out(engine: Engine) -> None:
    """Each of them is a descriptor that the journal and the car's sockets lack."""
    idle = [connected(engine) for _ in range(MOST_CONNECTIONS + 400)]
    try:
        assert len(list(Path(f"/proc/{engine.pid}/fd").iterdir())) < MOST_CONNECTIONS + 200
    finally:
        for one in idle:
            one.close()
    assert answered(engine, "GET", "/v1/snapshot") == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"verb": "x" * 900_000},
        {"verb": "identify", "definition": "x" * 900_000},
        {"verb": "read", "job": "x", "regions": ["y" * 900_000]},
        {"verb": "read", "job": "x", "regions": ["y"] * 100_000},
        {"verb": "read", "job": "x", **{f"k{n}": n for n in range(20_000)}},
        {"verb": "read", "job": "x", "k" * 900_000: 1},
    ],
    ids=range(6),
)
def test_a_refusal_is_short_whatever_was_asked(engine: Engine, asked: dict[str, object]) -> None:
    """It goes to the log as well, from which it would wash away what counts."""
    status, told = engine.ask("POST", "/v1/operations", asked)
    assert status == 400
    assert len(json.dumps(told)) < 8_000


def test_a_damaged_original_hides_no_other(engine: Engine) -> None:
    damaged = engine.state / "images" / "11111111-1111-4111-8111-111111111111.json"
    engine.read_job()
    before = engine.ask("GET", "/v1/originals")
    assert len(before[1]) == 1
    damaged.write_text("{}")
    try:
        assert engine.ask("GET", "/v1/originals") == before
    finally:
        damaged.unlink()


def test_what_keeps_the_worker_long_waits_until_the_car_is_let_go() -> None:
    """It shares its thread with the tester present and the power guard."""
    with place() as folder, running(folder, "--pace", "1") as engine:
        operation = engine.begin("identify")
        for path in ("/v1/originals", "/v1/jobs/any/export"):
            status, told = engine.ask("GET", path)
            assert (status, told["code"]) == (409, "ENGINE_BUSY")
        engine.end(operation)
        assert engine.ask("GET", "/v1/originals") == (200, [])


def test_an_idle_engine_looks_after_its_stored_files_without_being_asked(engine: Engine) -> None:
    while (stored := engine.ask("GET", "/v1/snapshot")[1]["stored_files"])["rounds"] == 0:
        assert stored["rot"] == []


def test_half_files_together_do_not_fill_the_memory(engine: Engine) -> None:
    """One is taken in at a time; whoever leaves in the middle makes room."""
    with socket.socket(socket.AF_UNIX) as half:
        half.connect(str(engine.socket))
        half.sendall(b"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
        told = until_handed_in(engine, 409)
        assert told["code"] == "UPLOAD_BUSY" and "again in a moment" in told["do_now"]
    assert until_handed_in(engine, 201)["bytes"] == 5


def until_handed_in(engine: Engine, status: int) -> dict[str, object]:
    """Hand a file in until it is answered so: who comes first, and how soon a leaver is missed, is open."""
    while (answered := engine.ask("POST", "/v1/uploads", b"whole"))[0] != status:
        assert answered[0] in (201, 409)
    return dict(answered[1])


def said_raw(engine: Engine, request: bytes) -> bytes:
    """What the engine answers to these bytes, to its end."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(HANG_S)
        client.connect(str(engine.socket))
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize(
    ("packed", "body"), [(b"gzip", b"no gzip"), (b"deflate", zlib.compress(bytes(8 << 20)))]
)
@pytest.mark.parametrize("path", [b"/v1/operations", b"/v1/uploads", b"/v1/secrets/payload_key"])
def test_a_body_that_is_packed_is_not_unpacked(
    engine: Engine, path: bytes, packed: bytes, body: bytes
) -> None:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: " + packed
    answered = said_raw(engine, head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert answered.startswith(b"HTTP/1.1 415") and b"ENCODING_REFUSED" in answered


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET /v1/jobs HTTP/9.9\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nno header\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\n\r\n\x00\x1b[2J rubbish behind a request\r\n\r\n",
    ],
    ids=["tls", "text", "version", "header", "long_line", "long_header", "length", "behind_a_request"],
)
def test_bytes_that_are_no_http_are_answered_with_a_code(engine: Engine, said: bytes) -> None:
    answered = said_raw(engine, said)
    refusal = re.search(rb"HTTP/1\.[01] 400 .*", answered, re.DOTALL)
    assert refusal is not None, answered
    head, _, body = refusal.group().partition(b"\r\n\r\n")
    assert b"application/json" in head
    error = five_answers(json.loads(body))
    assert (error["code"], error["ecu"]) == ("NO_HTTP", "unknown")
    assert b"\x1b" not in body and len(error["what"]) < 300


def test_nobody_writes_lines_of_his_own_into_the_log(engine: Engine) -> None:
    forged = "2026-01-01 00:00:00,000 ERROR"
    gate = {"gate": f"x\n{forged}\x1b[2J\u2028", "by": "Kim", "reason": "none"}
    status, told = engine.ask("POST", "/v1/operations", {"verb": "restore", "job": "x", "waivers": [gate]})
    assert status == 202
    assert engine.end(told["id"])["state"] == "failed"
    asked = {"verb": "preview", "of": "restore", "job": "x", "waivers": [gate]}
    engine.end(engine.ask("POST", "/v1/operations", asked)[1]["id"])
    lines = (engine.state / "log" / "engine.log").read_bytes().splitlines()
    assert any(forged.encode() in line for line in lines), "it is told"
    assert not any(line.startswith(forged.encode()) or b"\x1b" in line for line in lines)


def test_a_listener_that_leaves_and_a_client_without_http_leave_no_trace_in_the_log(engine: Engine) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(HANG_S)
        listener.connect(str(engine.socket))
        listener.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert listener.recv(10)
    assert b"400" in said_raw(engine, b"GET /v1/jobs HTTP/9.9\r\n\r\n")
    operation = engine.begin("identify")
    engine.end(operation)
    log = (engine.state / "log" / "engine.log").read_text()
    assert "Traceback" not in log and "a client sent what is no HTTP" in log
