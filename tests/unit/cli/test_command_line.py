"""What is understood, what is refused, and how little the help needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.cli.exits import MEANINGS, Exit
from appliance.cli.main import main, make_parser
from appliance.cli.options import default_socket
from tests.unit.cli.fake_engine import FakeEngine

VERBS = (
    "identify",
    "read",
    "write",
    "restore",
    "recover",
    "verify",
    "dtc",
    "jobs",
    "originals",
    "report",
    "export",
    "demo",
)


HEAVY = {"aiohttp", "asyncio", "can", "cryptography", "pydantic", "sqlite3"}
"""What would make the help slow; its time is measured in benchmarks/start.py."""


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys, contextlib\n"
        "from appliance.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(f"{verb} " in shown.stdout for verb in (*VERBS, "engine", "sim", "definitions"))
    assert "appliance.cli.main" in shown.stderr
    assert HEAVY.isdisjoint(shown.stderr.split())


def test_help_documents_every_exit_status() -> None:
    told = make_parser().format_help()
    assert all(f"{int(status):>3}  {text}" in told for status, text in MEANINGS.items())
    assert set(MEANINGS) == set(Exit)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == Exit.DONE
    assert ("--socket" in capsys.readouterr().out) == (verb != "demo")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["flash"],
        ["write"],
        ["export"],
        ["export", "-o", "x", "--format", "elf"],
        ["write", "x", "--use", "fun"],
        ["write", "x", "--regions", ""],
        ["read", "--regions", " , "],
        ["demo", "--seed", "one"],
        ["--json", "engine"],
    ],
)
def test_what_is_not_understood_is_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == Exit.USAGE
    assert "usage: pitbox" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "module"),
    [("engine", "appliance.engine"), ("sim", "simulator"), ("definitions", "appliance.definitions")],
)
def test_programs_get_their_arguments_untouched(
    verb: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[tuple[str, list[str]]] = []

    def execv(path: str, arguments: list[str]) -> None:
        became.append((path, arguments))
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", execv)
    with pytest.raises(SystemExit):
        main([verb, "--help", "--json", "--", "x y"])
    rest = ["--help", "--json", "--", "x y"]
    assert became == [(sys.executable, [sys.executable, "-P", "-m", module, *rest])]


def test_common_options_stand_before_or_behind_the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITBOX_SOCKET", "/env.sock")
    parser = make_parser()
    before = parser.parse_args(["--json", "--socket", "/a", "jobs"])
    behind = parser.parse_args(["jobs", "--socket", "/a", "--json"])
    assert (before.json, before.socket, before.quiet) == (behind.json, behind.socket, behind.quiet)
    assert (before.json, before.socket, before.quiet) == (True, Path("/a"), False)
    assert parser.parse_args(["jobs"]).socket is None
    assert default_socket() == Path("/env.sock")
    monkeypatch.delenv("PITBOX_SOCKET")
    assert default_socket() == Path("/run/pitbox/engine.sock")


def test_no_engine_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.sock"
    assert main(["identify", "--socket", str(missing)]) == Exit.NO_ENGINE
    told = capsys.readouterr()
    assert told.out == ""
    assert "systemctl start pitbox-engine" in told.err
    assert f"--socket {missing}" in told.err
    assert "only with the same --state does it know an open write" in told.err
    assert "ENGINE_UNREACHABLE" in told.err
    assert "Treat it as half written" in told.err


def test_what_answers_no_json_is_no_engine(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answers["/v1/jobs"] = (200, b"<html>")
    assert main(["jobs"]) == Exit.NO_ENGINE
    assert "no Pitbox engine" in capsys.readouterr().err


def test_a_refusal_that_is_not_ours_is_told_as_it_came(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answers["/v1/jobs"] = (502, b"bad gateway")
    assert main(["jobs"]) == Exit.HALF_WRITTEN, "whoever answers there knows nothing of the ECU"
    told = capsys.readouterr().err
    assert "bad gateway" in told
    assert "HTTP_502" in told


def test_a_reader_that_leaves_is_no_error(engine: FakeEngine) -> None:
    engine.jobs = [engine.jobs[0] | {"id": f"{number:012x}"} for number in range(5000)]
    command = f"{sys.executable} -m appliance.cli.main jobs; echo status $? >&2"
    shell = ["bash", "-c", f"({command}) | head -n 1"]
    shown = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert len(shown.stdout.splitlines()) == 1
    assert shown.stderr == "status 141\n"


def test_an_unknown_option_is_refused_with_the_usage_of_its_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["restore", "--nonsense"])
    shown = capsys.readouterr().err
    assert shown.startswith("usage: pitbox restore") and "--nonsense" in shown
