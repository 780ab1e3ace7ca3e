"""What reaches a terminal is harmless, in its own characters, and never ends the command."""

from __future__ import annotations

import errno
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.cli.answer import Answer
from appliance.cli.outlet import Outlet
from appliance.cli.problems import ConfirmationError
from appliance.cli.screen import Screen
from appliance.contract.text import printable
from appliance.definitions.__main__ import main as definitions
from appliance.definitions.loader import PACKS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Full(io.StringIO):
    """A disk without room; every try is counted."""

    tries = 0

    def write(self, _text: str) -> int:
        self.tries += 1
        raise OSError(errno.ENOSPC, "No space left on device")


@given(st.text())
def test_no_text_moves_the_cursor(text: str) -> None:
    stream = io.StringIO()
    Outlet(stream).line(text)
    told = stream.getvalue()
    assert told.endswith("\n")
    assert all(sign.isprintable() for sign in told[:-1])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb\nc", "a\\rb\\nc"),
        ("\u202eleft", "\\u202eleft"),
        ("plain ✔ Müller\u00a0GmbH", "plain ✔ Müller GmbH"),
    ],
)
def test_control_and_format_characters_are_shown(text: str, told: str) -> None:
    assert printable(text) == told


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_terminal_without_unicode_gets_what_it_can_show(encoding: str) -> None:
    raw = io.BytesIO()
    outlet = Outlet(io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    outlet.line("✔ Müller ⚠ 車")
    told = raw.getvalue().decode(encoding)
    if encoding == "utf-8":
        assert told == "✔ Müller ⚠ 車\n"
    else:
        assert told.startswith("+ M")
        assert "! \\u8eca" in told


def test_a_stream_that_breaks_is_left_alone() -> None:
    stream = Full()
    outlet = Outlet(stream)
    outlet.line("one")
    outlet.line("two")
    assert stream.tries == 1
    assert outlet.broken is not None
    assert outlet.broken.errno == errno.ENOSPC


def test_no_stream_at_all_is_no_reason_to_fail() -> None:
    outlet = Outlet(None)
    outlet.line("one")
    assert not outlet.terminal
    assert outlet.columns > 0


def test_a_lost_output_is_told_once_on_the_other_one() -> None:
    err = io.StringIO()
    screen = Screen(out=Full(), err=err)
    screen.tell(["one"])
    screen.answer(Answer(None, ["two"]))
    assert err.getvalue().count("No space left on device") == 1
    assert screen.lost is not None


def test_a_terminal_wraps_between_words_under_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    Outlet(stream).line("  Do now: " + "word " * 20)
    lines = stream.getvalue().splitlines()
    assert all(len(line) < 40 for line in lines)
    assert all(line.startswith("    word") for line in lines[1:])


def asked(typed: str, *, keyboard: bool = True, terminal: bool = True, yes: bool = False) -> str:
    err = Terminal() if terminal else io.StringIO()
    screen = Screen(out=io.StringIO(), err=err, keyboard=(Terminal if keyboard else io.StringIO)(typed))
    screen.confirm(["About to write"], "Now?", yes=yes)
    return err.getvalue()


@pytest.mark.parametrize("typed", ["yes\n", "YES \n", "y\n"])
def test_a_yes_goes_on(typed: str) -> None:
    assert asked(typed) == "About to write\nNow? Type yes to go on: "


@pytest.mark.parametrize("typed", ["", "\n", "no\n", "yes please\n"])
def test_anything_else_does_not(typed: str) -> None:
    with pytest.raises(ConfirmationError, match="was not confirmed"):
        asked(typed)


@pytest.mark.parametrize(("keyboard", "terminal"), [(False, True), (True, False), (False, False)])
def test_without_a_terminal_nobody_is_asked_and_only_yes_goes_on(keyboard: bool, terminal: bool) -> None:
    with pytest.raises(ConfirmationError, match="--yes"):
        asked("yes\n", keyboard=keyboard, terminal=terminal)
    assert "About to write" in asked("", keyboard=keyboard, terminal=terminal, yes=True)


def test_a_definitions_name_cannot_paint_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = (PACKS / "pbx-x050.toml").read_text("utf-8")
    own = pack.replace('id = "pbx-x050"', 'id = "own-x050"', 1)
    own = re.sub(r'^name = "', r'name = "\\u001b[2J\\u009b31m', own, count=1, flags=re.M)
    (tmp_path / "own-x050.toml").write_text(own, "utf-8")
    monkeypatch.setenv("PITBOX_DEFINITIONS", str(tmp_path))
    definitions(["list"])
    told = capsys.readouterr()
    assert "own-x050" in told.out + told.err
    assert all(sign.isprintable() or sign == "\n" for sign in told.out + told.err)
