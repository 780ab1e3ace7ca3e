"""What the tables of a definition are made of: their base, and the kinds of value they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

_admitting = ContextVar("admitting", default=True)


@contextmanager
def admitted_before() -> Iterator[None]:
    """What is parsed in here passed the checks of the build that let it in: its shape alone is looked at."""
    token = _admitting.set(False)
    try:
        yield
    finally:
        _admitting.reset(token)


def admitting() -> bool:
    """Whether a definition comes in, and every check is looked at."""
    return _admitting.get()


def refuse(problems: Iterable[str]) -> None:
    """Raises one ValueError that names every problem, if there is any, of a definition that comes in."""
    if not admitting():
        return
    if text := "; ".join(problems):
        raise ValueError(text)


class Strict(BaseModel):
    """Base of every table: immutable, no unknown keys, no silent type conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Byte = Annotated[int, Field(ge=0, le=0xFF)]
Word = Annotated[int, Field(ge=0, le=0xFFFF)]
CanId = Annotated[int, Field(ge=0, le=0x1FFFFFFF)]
HexBytes = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2})*$")]
JsonInt = Annotated[int, Field(gt=-(1 << 53), lt=1 << 53)]
"""A number every JSON reader keeps exactly (RFC 8785, 3.2.2.3)."""
Pattern = Annotated[str, Field(pattern=r"[0-9A-Za-z]", max_length=100)]
"""Shell-style (`*`, `?`, `[...]`); one of wildcards alone would recognise any ECU."""
DtcText = Annotated[str, Field(pattern=r"^[PCBU][0-3][0-9A-F]{3}-[0-9A-F]{2}$")]


def _parameter(value: object, check: ValidatorFunctionWrapHandler) -> object:
    """One reason in place of one for each kind a parameter could have been."""
    try:
        return check(value)
    except ValidationError as error:
        raise ValueError(
            "must be a whole number, text, true, false, or a list of numbers or of pairs"
        ) from error


Parameter = Annotated[JsonInt | str | bool | list[JsonInt] | list[list[JsonInt]], WrapValidator(_parameter)]
