"""What was received, held against the type of the contract that it should have.

A value is handed on as it came: fields that this version does not know stay in it, a word that an enumeration
does not have yet is a word all the same, and so is an event of a new kind. So an answer of a newer engine can
be read. What is missing or of another type is refused with its place. Made of the standard library alone: a
command line that starts in a moment cannot wait for a library of validators.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, TypeVar, Union, cast, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

Kind = TypeVar("Kind")
_Check = Callable[[object, str], None]
_NUMBERS = (int, float)


class UnreadableError(ValueError):
    """A value that is not of its type, with the place where it is not."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place or 'the answer'}: {why}")


def checked(kind: type[Kind], value: object) -> Kind:
    """The value itself, which is of the type. Raises UnreadableError."""
    _check_of(cast(Any, kind))(value, "")
    return cast(Kind, value)


@cache
def _check_of(kind: Any) -> _Check:
    """Made once per type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Annotated, NotRequired, Required):
        return _check_of(arguments[0])
    if origin in _COMPOSED:
        return _COMPOSED[origin](arguments)
    return _fields_of(kind) if is_typeddict(kind) else _plain(kind)


def _plain(kind: Any) -> _Check:
    if kind in (Any, object):
        return lambda value, place: None
    if kind is float:
        wanted: tuple[type, ...] = _NUMBERS
    elif isinstance(kind, type) and issubclass(kind, Enum):
        wanted = (str,)
    elif kind in (str, int, bool, dict, NoneType):
        wanted = (kind,)
    else:
        raise TypeError(f"{kind} is nothing that crosses the socket")

    def check(value: object, place: str) -> None:
        if type(value) not in wanted:
            raise UnreadableError(place, f"{type(value).__name__} in place of {wanted[-1].__name__}")

    return check


def _any_of(kinds: tuple[Any, ...]) -> _Check:
    tags = {_tag_of(kind): _check_of(kind) for kind in kinds}
    return _by_kind(tags) if None not in tags else _first_of([_check_of(kind) for kind in kinds])


def _tag_of(kind: Any) -> object:
    """The word by which it is told apart from others; None where it has none."""
    tag = get_type_hints(kind).get("kind") if is_typeddict(kind) else None
    return get_args(tag)[0] if get_origin(tag) is Literal else None


def _by_kind(checks: dict[object, _Check]) -> _Check:
    """One of a kind that is not known yet is left to whoever looks at its kind."""

    def check(value: object, place: str) -> None:
        kind = _object(value, place).get("kind")
        if not isinstance(kind, str):
            raise UnreadableError(place, "its kind is missing")
        if kind in checks:
            checks[kind](value, place)

    return check


def _first_of(checks: list[_Check]) -> _Check:

    def check(value: object, place: str) -> None:
        reasons = []
        for one in checks:
            try:
                return one(value, place)
            except UnreadableError as error:
                reasons.append(error)
        raise reasons[0] if value is not None else UnreadableError(place, "nothing is told")

    return check


def _one_of(words: tuple[object, ...]) -> _Check:
    def check(value: object, place: str) -> None:
        if value not in words:
            raise UnreadableError(place, f"{value!r} in place of {' or '.join(map(repr, words))}")

    return check


def _list_of(kinds: tuple[Any, ...]) -> _Check:
    item = _check_of(kinds[0])

    def check(value: object, place: str) -> None:
        if not isinstance(value, list):
            raise UnreadableError(place, f"{type(value).__name__} in place of list")
        for at, one in enumerate(value):
            item(one, f"{place}[{at}]")

    return check


def _dict_of(kinds: tuple[Any, ...]) -> _Check:
    def check(value: object, place: str) -> None:
        for name, one in _object(value, place).items():
            _check_of(kinds[1])(one, f"{place}.{name}")  # found late: a phrase may hold phrases

    return check


def _fields_of(kind: Any) -> _Check:
    hints = get_type_hints(kind, include_extras=True)
    optional: Any = NotRequired
    checks = {name: (_check_of(hint), get_origin(hint) is not optional) for name, hint in hints.items()}

    def check(value: object, place: str) -> None:
        found = _object(value, place)
        for name, (one, required) in checks.items():
            if name in found:
                one(found[name], f"{place}.{name}" if place else name)
            elif required:
                raise UnreadableError(place, f"{name} is missing")

    return check


def _object(value: object, place: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise UnreadableError(place, f"{type(value).__name__} in place of an object")
    return value


_COMPOSED: dict[Any, Callable[[tuple[Any, ...]], _Check]] = {
    Union: _any_of,
    UnionType: _any_of,
    Literal: _one_of,
    list: _list_of,
    dict: _dict_of,
}
