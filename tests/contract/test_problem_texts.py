"""Errors and phrases are keys with fields: their words stand in the contract's catalogue and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import TypeVar

import pytest

import appliance
from appliance.contract.catalogue import FOREIGN, fields_of
from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
from appliance.contract.problem_texts import ERRORS, PHRASES
from appliance.flashing.errors import access_problem
from appliance.protocols.access import AccessError, EcuRefusedError, LineFault, LinkLostError, Refusal

Kind = TypeVar("Kind")
ROOT = Path(appliance.__file__).parent
SOURCES = {
    path.relative_to(ROOT): ast.parse(path.read_text("utf-8"))
    for path in ROOT.rglob("*.py")
    if path.relative_to(ROOT).parts[0] not in ("cli", "contract")
}
PASSED_ON = {"key", "why", "unknown", "judgement.code", "self._how_it_was_left()"}
"""Where a key comes in from outside the function: what comes in there is one itself."""
FAMILIES = ("VAULT_GRANT_", "ECU_REFUSED_", "LINE_")
"""Codes that are put together from a word of the contract's."""
CONSTANTS = {
    node.value for tree in SOURCES.values() for node in ast.walk(tree) if isinstance(node, ast.Constant)
}
BESIDE = {"log", "points"}


def descendants(kind: type[Kind]) -> Iterator[type[Kind]]:
    for one in kind.__subclasses__():
        yield one
        yield from descendants(one)


def raisers() -> set[str]:
    """Every class that takes a key of the catalogue; those that make their own key are held by `super`."""
    for module in walk_packages(appliance.__path__, "appliance."):
        if not module.name.startswith("appliance.cli") and not module.name.endswith("__main__"):
            import_module(module.name)
    takes = {one.__name__ for one in descendants(EngineError) if "__init__" not in vars(one)}
    return takes | {"EngineError"}


RAISERS = raisers()
OURS = {one.__name__ for one in descendants(EngineError)}


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
                one.__name__ for one in descendants(EngineError)
            }:
                for name, call in calls(kind):
                    if name == "__init__":
                        yield f"{path}:{call.lineno}", call, "error"


def keys_of(key: ast.expr, inside: ast.AST | None) -> list[str]:
    """The keys that an expression may give, also by a name that is set in its function; empty if unknown."""
    if isinstance(key, ast.IfExp):
        return keys_of(key.body, inside) + keys_of(key.orelse, inside)
    if isinstance(key, ast.Constant):
        return [str(key.value)]
    if isinstance(key, ast.JoinedStr):
        head = key.values[0].value if isinstance(key.values[0], ast.Constant) else None
        return [one for one in ERRORS if head in FAMILIES and one.startswith(head) and one not in CONSTANTS]
    if isinstance(key, ast.Name) and inside is not None:
        return [found for value in set_in(inside, key.id) for found in keys_of(value, None)]
    return []


def set_in(inside: ast.AST, name: str) -> Iterator[ast.expr]:
    """Everything that a name is set to."""
    for node in ast.walk(inside):
        if isinstance(node, ast.Assign) and [ast.unparse(one) for one in node.targets] == [name]:
            yield node.value


def functions(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    """The innermost function around every call."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return {call: one for one in found for _, call in calls(one)}


INSIDE = {call: one for tree in SOURCES.values() for call, one in functions(tree).items()}


def fields_named(catalogue: str, key: str) -> set[str]:
    return ERRORS[key].fields if catalogue == "error" else fields_of(PHRASES[key])


def test_every_error_and_phrase_has_its_words_and_just_their_fields() -> None:
    found = list(made())
    assert len(found) > 50
    for at, call, catalogue in found:
        assert call.args, f"{at}: no key"
        keys = keys_of(call.args[0], INSIDE.get(call))
        if not keys:
            assert ast.unparse(call.args[0]) in PASSED_ON, f"{at}: no key that anybody knows"
            continue
        assert len(call.args) == 1, f"{at}: a sentence of its own"
        given = {one.arg for one in call.keywords if one.arg is not None} - BESIDE
        for key in keys:
            assert key in (ERRORS if catalogue == "error" else PHRASES), f"{at}: {key!r} is no key"
            if all(one.arg is not None for one in call.keywords):
                assert given == fields_named(catalogue, key), f"{at}: other fields"


def test_an_id_that_cannot_be_is_answered_in_words_of_the_catalogue() -> None:
    asked = [call for tree in SOURCES.values() for name, call in calls(tree) if name == "id_of"]
    assert asked
    for call in asked:
        (key,) = keys_of(call.args[1], None)
        assert ERRORS[key].fields == {"given"}, ast.unparse(call)


def own_raises() -> Iterator[tuple[str, ast.Call]]:
    """Every call of an error that makes its own key."""
    for path, tree in SOURCES.items():
        for name, call in calls(tree):
            if name in OURS - RAISERS:
                yield f"{path}:{call.lineno}", call


def test_no_sentence_is_made_where_something_is_raised() -> None:
    for at, call in [*((at, call) for at, call, _ in made()), *own_raises()]:
        for given in (*call.args, *(field.value for field in call.keywords)):
            for part in ast.walk(given):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    assert len(part.value.split()) < 2, f"{at}: {part.value!r} is words"


def test_text_of_system_and_parser_is_marked() -> None:
    """What an exception that is none of ours says comes in as foreign text."""
    for at, call, _ in made():
        for field in call.keywords:
            given = ast.unparse(field.value)
            if "strerror" in given or given == "str(error)":
                assert field.arg in FOREIGN, f"{at}: {field.arg} is not marked as foreign"


def test_no_error_leaves_the_engine_without_a_key() -> None:
    bare = [
        f"{path}:{call.lineno}"
        for path, tree in SOURCES.items()
        for name, call in calls(tree)
        if name == "PitboxError"
    ]
    assert not bare


def test_what_an_ecu_or_a_link_does_is_told_by_a_phrase() -> None:
    kinds, found = {one.__name__ for one in descendants(AccessError)}, 0
    for path, tree in SOURCES.items():
        for name, call in calls(tree):
            if name not in kinds:
                continue
            found += 1
            for given in call.args:
                bare = isinstance(given, ast.JoinedStr) or (
                    isinstance(given, ast.Constant) and isinstance(given.value, str)
                )
                assert not bare, f"{path}:{call.lineno}"
                assert not ast.unparse(given).startswith("str("), f"{path}:{call.lineno}"
    assert found > 50


def test_every_text_is_said_by_somebody() -> None:
    unsaid = {key for key in (*ERRORS, *PHRASES) if key not in CONSTANTS and not key.startswith(FAMILIES)}
    assert unsaid <= {"named"}


@pytest.mark.parametrize("error", [EcuRefusedError(refusal, "no") for refusal in Refusal])
def test_every_refusal_of_an_ecu_has_its_words(error: EcuRefusedError) -> None:
    assert access_problem(error).code == f"ECU_REFUSED_{error.refusal.value.upper()}"


@pytest.mark.parametrize("fault", LineFault)
def test_every_fault_of_a_line_has_its_words(fault: LineFault) -> None:
    assert access_problem(LinkLostError("no", fault)).code == f"LINE_{fault.value.upper()}"


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
