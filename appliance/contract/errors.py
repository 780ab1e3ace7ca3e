"""The one exception tree of Pitbox: every error answers five questions (design rule 7)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from typing_extensions import TypedDict


class EcuSafety(StrEnum):
    """Is the ECU safe? The answer a technician needs before any other."""

    UNTOUCHED = "untouched"
    """Nothing was written: the ECU is as it was."""
    INTACT = "intact"
    """Something was written, and its memory is proven good."""
    HALF_WRITTEN = "half_written"
    """Erased or partly programmed: keep it powered, do not start the engine, recover."""
    UNKNOWN = "unknown"
    """The box cannot tell; treat as half written."""


class ErrorTold(TypedDict):
    """The five answers; `ecu` says whether the ECU is safe."""

    code: str
    what: str
    ecu: EcuSafety
    do_now: str
    log: str | None
    details: list[str]


class PitboxError(Exception):
    """What happened, is the ECU safe, what to do now, a stable code, and where the log is."""

    def __init__(
        self,
        code: str,
        what: str,
        *,
        do_now: str,
        log: str | None = None,
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{code}: {what}")
        self.code = code
        self.what = what
        self.do_now = do_now
        self.ecu = EcuSafety.UNKNOWN
        """Nobody who raises an error knows it: the engine asks its journal where the error leaves."""
        self.log = log
        self.details = details

    def as_dict(self) -> ErrorTold:
        """JSON form that crosses the engine's socket."""
        return ErrorTold(
            code=self.code,
            what=self.what,
            ecu=self.ecu,
            do_now=self.do_now,
            log=self.log,
            details=list(self.details),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> PitboxError:
        """Rebuild an error a client received; unknown safety words become UNKNOWN."""
        details = data.get("details")
        word = str(data.get("ecu"))
        error = cls(
            str(data.get("code", "UNKNOWN")),
            str(data.get("what", "the engine gave no reason")),
            do_now=str(data.get("do_now", "")),
            log=str(data["log"]) if data.get("log") else None,
            details=tuple(str(item) for item in details) if isinstance(details, list) else (),
        )
        error.ecu = EcuSafety(word) if word in set(EcuSafety) else EcuSafety.UNKNOWN
        return error


def failure_of(told: ErrorTold | None) -> PitboxError:
    """The error that an operation ended with, also where it was told without one."""
    return PitboxError.from_dict(dict(told or {}))
