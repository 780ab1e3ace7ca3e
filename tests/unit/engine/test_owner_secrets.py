"""The owner's secrets over the socket: in, never out, and never through the web."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.loader import PACKS, load_definition
from appliance.engine.context import EngineContext, open_box
from appliance.engine.owner_secrets import put_secret
from appliance.engine.settings import EngineSettings
from appliance.flashing.marks import NEEDS_BENCH, SET_ASIDE
from appliance.protocols.access import EcuIdentity
from appliance.vault.owner_secrets import Place
from tests.support.engine import Engine, five_answers, place, running

V381 = load_definition(PACKS / "pbx-v381.toml")
KEY = bytes(range(0xA0, 0xB0))
"""As long as the pack wants it, and not the twin's."""


def put(engine: Engine, name: str, value: bytes, query: str = "") -> tuple[int, Any]:
    return engine.ask("POST", f"/v1/secrets/{name}{query}", value)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_secret_goes_in_and_nothing_of_it_comes_out() -> None:
    with place() as folder, running(folder) as engine:
        status, told = put(engine, "payload_key", KEY)
        assert (status, told["definition"], told["stored"]) == (201, V381.id, True)
        _, listed = engine.ask("GET", "/v1/secrets")
        here = {(one["definition"], one["name"]): one["stored"] for one in listed}
        assert here[V381.id, "payload_key"] and not here[V381.id, "payload_iv"]
        told = str((listed, engine.ask("GET", "/v1/events?after=0"), engine.ask("GET", "/v1/snapshot")))
        assert "'payload_key'" in told
        everything = everything_in(engine.state) + told.encode()
        assert KEY not in everything and KEY.hex().encode() not in everything
        status, error = engine.ask("GET", "/v1/secrets/payload_key")
        assert status == 405 and five_answers(error)
        status, told = engine.ask("DELETE", f"/v1/secrets/payload_key?definition={V381.id}")
        assert (status, told["stored"]) == (200, False)
        assert engine.ask("DELETE", "/v1/secrets/payload_key")[0] == 404


def test_what_no_definition_names_or_allows_is_refused() -> None:
    with place() as folder, running(folder) as engine:
        for name, value, query, code in (
            ("payload_key", KEY[:-1], "", "SECRET_WRONG"),
            ("another_key", KEY, "", "SECRET_UNKNOWN"),
            ("payload_key", KEY, "?definition=pbx-x050", "SECRET_UNKNOWN"),
            ("payload_key", bytes((1 << 20) + 1), "", "FILE_TOO_LARGE"),
        ):
            _, error = put(engine, name, value, query)
            assert five_answers(error)["code"] == code
        assert not (engine.state / "secrets").exists()


def test_the_web_neither_puts_nor_lists_nor_removes_one() -> None:
    with place() as folder, running(folder, "--web-uid", str(os.getuid())) as engine:
        for method, path in (
            ("POST", "/v1/secrets/payload_key"),
            ("GET", "/v1/secrets"),
            ("DELETE", "/v1/secrets/payload_key"),
        ):
            status, error = engine.ask(method, path, KEY if method == "POST" else None)
            assert (status, five_answers(error)["code"]) == (403, "ROLE_REFUSED")
        assert not (engine.state / "secrets").exists()


def test_a_file_in_the_clear_is_taken_over_at_the_start_and_told() -> None:
    with place() as folder:
        path = folder / "state" / "secrets" / V381.id / "payload_key"
        path.parent.mkdir(parents=True)
        path.parents[2].chmod(0o700)
        path.write_bytes(KEY)
        with running(folder) as engine:
            assert not path.exists() and KEY not in everything_in(engine.state)
            _, page = engine.ask("GET", "/v1/events?after=0")
            (note,) = [one for one in page["events"] if one["kind"] == "note"]
            assert "lay in the clear" in note["text"]
            _, listed = engine.ask("GET", "/v1/secrets")
            assert [one["name"] for one in listed if one["stored"]] == ["payload_key"]


OTHER = bytes(range(0xB0, 0xC0))
PAYLOAD_KEY = Place(V381.id, "payload_key")
WRITE = "the order of a write"


@contextmanager
def life(state: Path) -> Iterator[EngineContext]:
    nobody: Any = None
    state.mkdir(mode=0o700, exist_ok=True)
    box = open_box(EngineSettings(state, state / "engine.sock", "master"), nobody)
    try:
        yield box
    finally:
        box.journal.close()


def begin_write(box: EngineContext) -> int:
    journal = box.journal
    journal.create_job("car")
    journal.describe("car", V381.id, V381.digest(), "uds", EcuIdentity())
    for state in (JobState.IDENTIFIED, JobState.READING):
        journal.move("car", state)
    journal.read_verified("car", "original")
    journal.move("car", JobState.PREFLIGHT)
    return journal.open_flash("car", WRITE)


@pytest.mark.parametrize("outcome", [None, NEEDS_BENCH, SET_ASIDE])
def test_a_write_that_is_not_over_keeps_the_secret_that_it_began_with(
    tmp_path: Path, outcome: str | None
) -> None:
    with life(tmp_path / "state") as box:
        put_secret(box, "payload_key", None, KEY)
        flash = begin_write(box)
        if outcome == NEEDS_BENCH:
            for state in (JobState.INTERRUPTED, JobState.RECOVERING):
                box.journal.move("car", state)
            box.journal.close_flash(flash, "car", JobState.NEEDS_BENCH, NEEDS_BENCH)
        elif outcome == SET_ASIDE:
            box.journal.set_aside(flash, '{"by": "Kim", "reason": "another car"}')
        with pytest.raises(PitboxError) as refused:
            put_secret(box, "payload_key", None, OTHER)
        assert refused.value.code == "SECRET_NEEDED"
        for way_on in ("pitbox recover --job car", "--replace"):
            assert way_on in refused.value.do_now
        assert box.secrets.get(PAYLOAD_KEY) == KEY
        put_secret(box, "payload_key", None, KEY)
        put_secret(box, "payload_key", None, OTHER, replace=True)
        assert box.secrets.get(PAYLOAD_KEY) == OTHER


def test_a_secret_is_replaced_where_no_write_of_its_ecu_is_open(tmp_path: Path) -> None:
    with life(tmp_path / "state") as box:
        put_secret(box, "payload_key", None, KEY)
        put_secret(box, "payload_key", None, OTHER)
        begin_write(box)
        put_secret(box, "payload_iv", None, KEY)
        assert box.secrets.get(PAYLOAD_KEY) == OTHER


def test_a_secret_that_is_damaged_is_put_there_again_for_an_open_write(tmp_path: Path) -> None:
    with life(tmp_path / "state") as box:
        put_secret(box, "payload_key", None, KEY)
        begin_write(box)
        for copy in (tmp_path / "state" / "secrets").rglob("payload_key.[12]"):
            copy.write_bytes(b"{}")
        put_secret(box, "payload_key", None, OTHER)
        assert box.secrets.get(PAYLOAD_KEY) == OTHER


@pytest.mark.parametrize("restarted", [False, True])
def test_a_file_laid_there_during_an_open_write_does_not_take_its_secrets_place(
    tmp_path: Path, restarted: bool
) -> None:
    state = tmp_path / "state"
    with life(state) as box:
        put_secret(box, "payload_key", None, KEY)
        begin_write(box)
        laid = state / "secrets" / V381.id / "payload_key"
        laid.write_bytes(OTHER)
        assert restarted or box.secrets.get(PAYLOAD_KEY) == KEY
    with life(state) as box:
        alarm = box.journal.events.latest("alarm")
        assert alarm is not None and alarm["code"] == "SECRET_IN_THE_CLEAR"
        assert box.secrets.get(PAYLOAD_KEY) == KEY
        (flash,) = box.journal.open_flashes()
        box.journal.move("car", JobState.RECOVERING)
        box.journal.close_flash(flash.id, "car", JobState.READ_VERIFIED, "abandoned, nothing erased")
        assert box.secrets.get(PAYLOAD_KEY) == OTHER
        assert not laid.exists()


def test_over_the_socket_replace_is_a_truth_value() -> None:
    with place() as folder, running(folder) as engine:
        assert put(engine, "payload_key", KEY, "?replace=true")[0] == 201
        status, error = put(engine, "payload_key", KEY, "?replace=perhaps")
        assert (status, five_answers(error)["code"]) == (400, "PARAMETERS_INVALID")
