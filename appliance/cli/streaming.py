"""Lines of the engine's stream of events, as types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, cast

from typing_extensions import TypedDict

from appliance.contract.checked import UnreadableError, checked
from appliance.contract.told import StreamTold


class UnreadableTold(TypedDict):
    """In place of a line that is not as the contract says."""

    kind: Literal["unreadable"]
    why: str
    line: object
    """As it came."""
    seq: NotRequired[int]


Streamed: TypeAlias = StreamTold | UnreadableTold


def streamed(line: object) -> Streamed:
    """A line as it came, or what is wrong with it."""
    try:
        return cast(StreamTold, checked(cast(type[Any], StreamTold), line))
    except UnreadableError as error:
        told = UnreadableTold(kind="unreadable", why=str(error), line=line)
        number = line.get("seq") if isinstance(line, dict) else None
        if isinstance(number, int):
            told["seq"] = number
        return told


def number_of(line: Streamed, before: int) -> int:
    """Number of an event; the one before for what has none."""
    number = cast(Mapping[str, object], line).get("seq")
    return number if isinstance(number, int) else before
