"""Notes and alarms are keys with fields: their words stand in the contract's catalogues and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import appliance
from appliance.contract.alarm_texts import ALARMS, trouble
from appliance.contract.catalogue import fields_of
from appliance.contract.events import AlarmEvent, NoteEvent
from appliance.contract.note_texts import NOTES

ROOMS = ("flashing", "engine", "ports", "vault", "protocols")
SOURCES = {
    path: ast.parse(path.read_text("utf-8"))
    for room in ROOMS
    for path in (Path(appliance.__file__).parent / room).rglob("*.py")
}
CALLS = [
    (path, node) for path, tree in SOURCES.items() for node in ast.walk(tree) if isinstance(node, ast.Call)
]
PASSED_ON = {
    "NoteEvent": {"key"},
    "AlarmEvent": {"key", "told.key", "found.key", "difference.key"},
    "note": {"why"},
    "trouble": set[str](),
}
"""Where a key is no literal: what comes in there is one itself, held by its own catalogue."""


def said(name: str) -> Iterator[tuple[str, ast.expr, ast.Call]]:
    """Every call of that name outside the journal: where it is, its key, and the call."""
    for path, call in CALLS:
        function = call.func
        called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if called != name or (isinstance(function, ast.Attribute) and "journal" in ast.unparse(function)):
            continue
        at = {"NoteEvent": 1, "AlarmEvent": 2}.get(name, 0)
        yield f"{path.name}:{call.lineno}", call.args[at], call


def fields_given(call: ast.Call) -> set[str]:
    return {one.arg for one in call.keywords if one.arg is not None}


@pytest.mark.parametrize(("name", "texts"), [("note", NOTES), ("trouble", ALARMS)])
def test_who_says_something_names_a_key_and_all_its_fields(name: str, texts: Mapping[str, str]) -> None:
    found = list(said(name))
    assert found
    for place, key, call in found:
        if not isinstance(key, ast.Constant):
            keys = {one.value for one in ast.walk(key) if isinstance(one, ast.Constant)} & set(texts)
            assert keys or ast.unparse(key) in PASSED_ON[name], f"{place}: a text of its own"
            continue
        assert key.value in texts, f"{place}: {key.value!r} is no key"
        assert fields_given(call) == fields_of(texts[key.value]), f"{place}: other fields"


@pytest.mark.parametrize(("name", "texts"), [("NoteEvent", NOTES), ("AlarmEvent", ALARMS)])
def test_no_event_is_made_with_a_text_of_its_own(name: str, texts: Mapping[str, str]) -> None:
    found = list(said(name))
    assert found
    for place, key, _ in found:
        told = key.value if isinstance(key, ast.Constant) else None
        assert told in texts or ast.unparse(key) in PASSED_ON[name], f"{place}: {ast.unparse(key)}"


@pytest.mark.parametrize("texts", [NOTES, ALARMS], ids=["notes", "alarms"])
def test_every_text_is_said_by_somebody(texts: Mapping[str, str]) -> None:
    constants = {
        node.value for tree in SOURCES.values() for node in ast.walk(tree) if isinstance(node, ast.Constant)
    }
    assert set(texts) <= constants


@pytest.mark.parametrize("key", sorted(ALARMS))
def test_an_alarm_is_told_with_its_own_fields_alone(key: str) -> None:
    fields = {name: 1.5 for name in fields_of(ALARMS[key])}
    event = AlarmEvent("j", "CODE", key, True, dict(fields))
    assert event.text == trouble(key, **fields).text
    with pytest.raises(ValueError, match=key):
        AlarmEvent("j", "CODE", key, True, {**fields, "more": 1})


@pytest.mark.parametrize("key", sorted(NOTES))
def test_a_note_is_told_with_its_own_fields_alone(key: str) -> None:
    fields = {name: "{odd}" for name in fields_of(NOTES[key])}
    assert NoteEvent("j", key, dict(fields)).text.count("{odd}") == len(fields), "a field is no template"
    with pytest.raises(ValueError, match="no words"):
        NoteEvent("j", f"{key}?", dict(fields))
