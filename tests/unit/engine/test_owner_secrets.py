"""The owner's secrets over the socket: in, never out, and never through the web."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from appliance.definitions.loader import PACKS, load_definition
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
