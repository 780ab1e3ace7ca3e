"""Errors and phrases are keys with fields: their words stand in the contract's catalogue and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import appliance
from appliance.contract.catalogue import FOREIGN, fields_of
from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
from appliance.contract.problem_texts import ERRORS, PHRASES

ROOT = Path(appliance.__file__).parent
SOURCES = {
    path.relative_to(ROOT): ast.parse(path.read_text("utf-8"))
    for path in ROOT.rglob("*.py")
    if path.relative_to(ROOT).parts[0] not in ("cli", "contract")
}
LEFT = {"engine", "flashing", "protocols", "definitions", "checksums", "ports"}
"""Rooms whose errors still say sentences of their own."""
PASSED_ON = {"code", "key", "why", "self._how_it_was_left()"}
"""Where a key is no literal: what comes in there is one itself."""
BESIDE = {"log", "points"}


def subclasses(kind: type[EngineError]) -> Iterator[type[EngineError]]:
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


def raisers() -> set[str]:
    """Every class that takes a key of the catalogue; those that make their own key are held by `super`."""
    for module in walk_packages(appliance.__path__, "appliance."):
        if not module.name.startswith("appliance.cli") and not module.name.endswith("__main__"):
            import_module(module.name)
    takes = {one.__name__ for one in subclasses(EngineError) if "__init__" not in vars(one)}
    return takes | {"EngineError"}


RAISERS = raisers()
OURS = {one.__name__ for one in subclasses(EngineError)}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            yield called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", ""), node


def made() -> Iterator[tuple[str, ast.Call, str]]:
    """Every error and phrase that is made: where, and which catalogue it is of."""
    for path, tree in SOURCES.items():
        for name, call in calls(tree):
            at = f"{path}:{call.lineno}"
            if name in RAISERS:
                yield at, call, "error"
            elif name == "phrase":
                yield at, call, "phrase"
        for kind in ast.walk(tree):
            if isinstance(kind, ast.ClassDef) and kind.name in {
                one.__name__ for one in subclasses(EngineError)
            }:
                for name, call in calls(kind):
                    if name == "__init__":
                        yield f"{path}:{call.lineno}", call, "error"


def keys_of(key: ast.expr) -> list[str]:
    """The literal keys that an expression may give; empty where there is none."""
    if isinstance(key, ast.IfExp):
        return keys_of(key.body) + keys_of(key.orelse)
    if isinstance(key, ast.Constant):
        return [str(key.value)]
    return []


def fields_named(catalogue: str, key: str) -> set[str]:
    return ERRORS[key].fields if catalogue == "error" else fields_of(PHRASES[key])


def test_every_error_and_phrase_has_its_words_and_just_their_fields() -> None:
    found = list(made())
    assert len(found) > 50
    for at, call, catalogue in found:
        assert call.args, f"{at}: no key"
        keys = keys_of(call.args[0])
        if not keys:
            assert isinstance(call.args[0], ast.JoinedStr) or ast.unparse(call.args[0]) in PASSED_ON, at
            continue
        assert len(call.args) == 1, f"{at}: a sentence of its own"
        given = {one.arg for one in call.keywords if one.arg is not None} - BESIDE
        for key in keys:
            assert key in (ERRORS if catalogue == "error" else PHRASES), f"{at}: {key!r} is no key"
            if all(one.arg is not None for one in call.keywords):
                assert given == fields_named(catalogue, key), f"{at}: other fields"


def test_no_sentence_is_made_where_something_is_raised() -> None:
    for at, call, _ in made():
        for field in call.keywords:
            for part in ast.walk(field.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    assert len(part.value.split()) < 2, f"{at}: {part.value!r} is words"


def test_text_of_system_and_parser_is_marked() -> None:
    """What an exception that is none of ours says comes in as foreign text."""
    for at, call, _ in made():
        for field in call.keywords:
            given = ast.unparse(field.value)
            if "strerror" in given or given == "str(error)":
                assert field.arg in FOREIGN, f"{at}: {field.arg} is not marked as foreign"


@pytest.mark.parametrize("room", sorted({path.parts[0] for path in SOURCES} - LEFT))
def test_no_error_leaves_the_room_without_a_key(room: str) -> None:
    for path, tree in SOURCES.items():
        if path.parts[0] == room:
            assert not [call.lineno for name, call in calls(tree) if name == "PitboxError"], path


def test_every_text_is_said_by_somebody() -> None:
    constants, prefixes = set(), set()
    for tree in SOURCES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                constants.add(node.value)
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                prefixes.add(str(node.values[0].value))
    families = tuple(one for one in prefixes if one in ("VAULT_GRANT_", "ECU_REFUSED_", "LINE_"))
    unsaid = {key for key in (*ERRORS, *PHRASES) if key not in constants and not key.startswith(families)}
    assert unsaid <= {"named"}


@pytest.mark.parametrize("key", sorted(ERRORS))
def test_an_error_says_what_happened_and_what_to_do(key: str) -> None:
    words = ERRORS[key]
    assert words.what and words.do_now
    assert words.do_now[0].isupper() or words.do_now[0] in "`{", "a sentence"
    assert not words.what.endswith("."), "it is said within other sentences"


@pytest.mark.parametrize("key", sorted(PHRASES))
def test_a_phrase_is_said_with_its_own_fields_alone(key: str) -> None:
    with pytest.raises(ValueError, match="told with"):
        phrase(key, **dict.fromkeys(fields_of(PHRASES[key]), 1.5), more=1)
