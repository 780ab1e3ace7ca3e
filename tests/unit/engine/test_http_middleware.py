from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH
from appliance.engine import http_middleware
from appliance.engine.http_middleware import errors_as_json
from appliance.engine.peers import PeerRoles
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
    journal.next_block(journal.open_flash("a", "{}"), None, (FLASH, 0))
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
        ("VAULT_DISK_FULL", 507),
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
    request: Any = SimpleNamespace(headers={}, content=Sender(parts, ends), content_length=announced)
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


def test_a_body_whose_pieces_are_broken_is_no_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Sender) -> bytes:
        raise web.RequestPayloadError("invalid chunk")

    monkeypatch.setattr(Sender, "readany", broken)
    with pytest.raises(PitboxError, match="BODY_BROKEN"):
        body(b"0123")


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
    request: Any = SimpleNamespace(headers={}, content=Sender(parts, True), content_length=None)
    return await http_middleware.body_of(request, most)


@pytest.mark.parametrize(("text", "seconds"), [(None, 0.0), ("", 0.0), ("2.5", 2.5), ("-1", 0.0)])
def test_a_wait_is_seconds(text: str | None, seconds: float) -> None:
    assert http_middleware.seconds_of(text) == seconds


def test_a_wait_that_is_no_number_is_refused() -> None:
    with pytest.raises(PitboxError, match="PARAMETERS_INVALID"):
        http_middleware.seconds_of("soon")


def test_a_wait_that_is_no_number_says_what_to_give() -> None:
    with pytest.raises(PitboxError) as refused:
        http_middleware.seconds_of("soon")
    assert (refused.value.what, refused.value.do_now) == ("wait is not a number", "Give seconds.")


@pytest.mark.parametrize("text", ["a", "0aZ_-9", "x" * 64])
def test_an_id_of_ours_is_taken(text: str) -> None:
    request: Any = SimpleNamespace(match_info={"id": text})
    assert http_middleware.id_of(request, "JOB_UNKNOWN.no_id") == text


@pytest.mark.parametrize("text", ["", "x" * 65, "a/b", "a\n", "ä", ".", "a b"])
def test_an_id_that_cannot_be_ours_is_unknown(text: str) -> None:
    request: Any = SimpleNamespace(match_info={"id": text})
    with pytest.raises(PitboxError, match="JOB_UNKNOWN") as refused:
        http_middleware.id_of(request, "JOB_UNKNOWN.no_id")
    assert refused.value.what == f"{text[:64]!r} is no id"
    assert refused.value.do_now


def json_of(text: bytes, announced: int | None = None) -> dict[str, Any]:
    request: Any = SimpleNamespace(headers={}, content=Sender((text,), True), content_length=announced)
    return asyncio.run(http_middleware.json_object(request))


def test_a_json_object_is_taken() -> None:
    assert json_of(b'{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize("text", [b"[1]", b"1", b"null", b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(PitboxError, match="JSON_INVALID") as refused:
        json_of(text)
    assert refused.value.what.startswith("the body is not")
    assert refused.value.do_now.startswith("Send ")


def test_json_has_a_bound_of_its_own() -> None:
    assert json_of(b"{}" + b" " * (http_middleware.MAX_JSON_BYTES - 2)) == {}
    with pytest.raises(PitboxError, match="FILE_TOO_LARGE"):
        json_of(b"{}", announced=http_middleware.MAX_JSON_BYTES + 1)


def test_a_file_too_large_is_told_with_the_bound() -> None:
    with pytest.raises(PitboxError) as refused:
        body(b"", most=3 << 20, announced=(3 << 20) + 1)
    assert refused.value.what == "the file is larger than 3 MiB"
    assert refused.value.do_now


def test_a_stalled_body_is_told_with_the_time() -> None:
    with pytest.raises(PitboxError) as refused:
        run_virtual(taken_from(Sender((b"0",), False)))
    assert "nothing for 10 s" in refused.value.what
    assert refused.value.do_now


async def taken_from(sender: Sender) -> bytes:
    request: Any = SimpleNamespace(headers={}, content=sender, content_length=None)
    return await http_middleware.body_of(request, 10)


def test_a_fast_beginning_buys_no_pause() -> None:
    async def scene() -> float:
        began = asyncio.get_running_loop().time()
        request: Any = SimpleNamespace(
            headers={}, content=Sender((bytes(1 << 20),), False), content_length=None
        )
        with pytest.raises(PitboxError, match="UPLOAD_STALLED"):
            await http_middleware.body_of(request, 2 << 20)
        return asyncio.get_running_loop().time() - began

    assert run_virtual(scene()) == pytest.approx(http_middleware.STALLED_S)


class Steady(Sender):
    """One piece of a body every few seconds."""

    def __init__(self, piece: int, every_s: float, pieces: int) -> None:
        super().__init__((bytes(piece),) * pieces, True)
        self._every_s = every_s

    async def readany(self) -> bytes:
        await asyncio.sleep(self._every_s)
        return await super().readany()


@pytest.mark.parametrize(("share", "whole"), [(1.05, True), (0.8, False)])
def test_a_slow_body_is_waited_for_as_long_as_it_comes_fast_enough(share: float, whole: bool) -> None:
    piece, pieces = int(http_middleware.SLOWEST_BYTES_PER_S * 5 * share), 100
    request: Any = SimpleNamespace(headers={}, content=Steady(piece, 5.0, pieces), content_length=None)
    if whole:
        assert len(run_virtual(http_middleware.body_of(request, piece * pieces))) == piece * pieces
        return
    with pytest.raises(PitboxError, match="UPLOAD_STALLED"):
        run_virtual(http_middleware.body_of(request, piece * pieces))


class Rhythm(Sender):
    """Pieces with pauses before them."""

    def __init__(self, *pieces: tuple[float, int]) -> None:
        super().__init__(tuple(bytes(size) for _, size in pieces), True)
        self._pauses = iter([pause for pause, _ in pieces])

    async def readany(self) -> bytes:
        await asyncio.sleep(next(self._pauses, 0.0))
        return await super().readany()


def received(sender: Sender) -> tuple[int | PitboxError, float]:
    """What became of it, and how long the place was held."""

    async def scene() -> tuple[int | PitboxError, float]:
        began = asyncio.get_running_loop().time()
        request: Any = SimpleNamespace(headers={}, content=sender, content_length=None)
        try:
            found: int | PitboxError = len(
                await http_middleware.body_of(request, http_middleware.MAX_FILE_BYTES)
            )
        except PitboxError as error:
            found = error
        return found, asyncio.get_running_loop().time() - began

    return run_virtual(scene())


def test_a_fast_beginning_buys_no_slow_end() -> None:
    """60 MiB at once, and then a byte now and then, held the one place for more than an hour."""
    drip = ((http_middleware.STALLED_S * 0.9, 1),) * 1000
    found, held = received(Rhythm((0.0, 60 << 20), *drip))
    assert isinstance(found, PitboxError) and found.code == "UPLOAD_STALLED"
    assert "less than 800 KiB within 60 s" in found.what
    assert held <= http_middleware.WINDOW_S


def test_nobody_holds_the_place_for_longer_than_a_slow_file_takes() -> None:
    second = int(http_middleware.SLOWEST_BYTES_PER_S * 1.1)
    found, held = received(Rhythm(*((1.0, second),) * 5000))
    assert isinstance(found, PitboxError) and found.code == "UPLOAD_STALLED"
    assert "after 600 s" in found.what
    assert held == pytest.approx(http_middleware.LONGEST_S)


def test_a_slow_phone_that_loses_its_radio_now_and_then_hands_its_file_in() -> None:
    """4 MiB at 0.25 Mbit/s, with nine seconds of nothing in each half minute."""
    rate = 32 * 1024
    half_minute = (*((1.0, rate),) * 21, (10.0 - 1.0, 1))
    found, held = received(Rhythm(*half_minute * 7))
    assert found == 7 * (21 * rate + 1) and found > 4 << 20
    assert held < 300


def test_an_error_of_the_http_layer_names_itself(journal: Journal) -> None:
    status, told = answer(web.HTTPNotFound(reason="nothing here"), journal)
    assert (status, told["code"]) == (404, "HTTP_404")
    assert told["what"].endswith("nothing here")
    assert told["do_now"]


class Socket:
    """A client of this user, as the kernel tells it."""

    def __init__(self, uid: int) -> None:
        self._uid = uid

    def getsockopt(self, _level: int, _name: int, _size: int) -> bytes:
        return struct.pack("3i", 1, self._uid, 1)


def asked_by(connection: Socket | None, *, transport: bool = True) -> Any:
    """What a user gets who asks; user 4242 was named at the start."""
    box: Any = SimpleNamespace(settings=SimpleNamespace(peer_roles=PeerRoles(frozenset({4242}))))
    carried = SimpleNamespace(get_extra_info={"socket": connection}.get)
    request: Any = SimpleNamespace(transport=carried if transport else None)

    async def handler(request: web.Request) -> Any:
        return "handled"

    return asyncio.run(http_middleware.only_known_users(box)(request, handler))  # type: ignore[arg-type]


@pytest.mark.parametrize("uid", [0, 4242])
def test_a_known_user_may_drive_the_engine(uid: int) -> None:
    assert asked_by(Socket(uid)) == "handled"


@pytest.mark.parametrize(
    ("connection", "transport"), [(Socket(4243), True), (None, True), (Socket(0), False)]
)
def test_a_user_that_is_not_known_is_refused(connection: Socket | None, transport: bool) -> None:
    with pytest.raises(PitboxError, match="PEER_REFUSED") as refused:
        asked_by(connection, transport=transport)
    assert refused.value.what
    assert "--allow-uid" in refused.value.do_now


@pytest.mark.parametrize(("path", "asked"), [("/jobs/a", "a"), ("/operations/a", None)])
def test_the_safety_told_is_of_the_job_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, path: str, asked: str | None
) -> None:
    found: list[Any] = []
    monkeypatch.setattr(
        http_middleware, "tell_safety", lambda error, journal, job, writing: found.append((job, writing))
    )
    box: Any = SimpleNamespace(settings=SimpleNamespace(log_path=LOG), writing=True, journal=None)
    worker: Any = Worker()

    async def handler(request: web.Request) -> web.StreamResponse:
        raise PitboxError("ENGINE_BUSY", "what", do_now="now")

    request = make_mocked_request("GET", path, match_info={"id": "a"})
    asyncio.run(errors_as_json(box, worker)(request, handler))  # type: ignore[arg-type]
    assert found == [(asked, True)]
