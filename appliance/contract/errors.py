"""The one exception tree of Pitbox: every error answers five questions (design rule 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NotRequired

from typing_extensions import TypedDict

from appliance.contract.catalogue import (
    Field,
    FieldTold,
    Phrase,
    PhraseTold,
    fields_of,
    filled,
    harmless,
    told,
)
from appliance.contract.checked import UnreadableError, checked
from appliance.contract.problem_texts import ERRORS


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
    """The five answers; `ecu` says whether the ECU is safe.

    `what`, `do_now` and `details` are in English. What screens translate stands beside them, and is not told
    by earlier releases: `key` and `fields` say what happened, `advice` what to do now, `points` the details.
    """

    code: str
    what: str
    ecu: EcuSafety
    do_now: str
    log: str | None
    details: list[str]
    key: NotRequired[str]
    """The code, and behind a dot which of its sentences; empty for what has no words in the catalogue."""
    fields: NotRequired[dict[str, FieldTold]]
    advice: NotRequired[list[PhraseTold]]
    points: NotRequired[list[PhraseTold]]


class _Keyed(TypedDict):
    """What screens translate."""

    key: str
    fields: dict[str, FieldTold]
    advice: list[PhraseTold]
    points: list[PhraseTold]


class PitboxError(Exception):
    """What happened, is the ECU safe, what to do now, a stable code, and where the log is.

    Made by hand only by a client, of what it received or for a person at it; the engine raises EngineError.
    """

    def __init__(
        self,
        code: str,
        what: str,
        *,
        do_now: str,
        log: str | None = None,
        details: Sequence[str] = (),
    ) -> None:
        super().__init__(f"{code}: {what}")
        self.code = code
        self.what = what
        self.key = ""
        self.fields: dict[str, Field] = {}
        self.advice: tuple[Phrase, ...] = (Phrase("", {}, do_now),)
        self.points = tuple(Phrase("", {}, line) for line in details)
        self.ecu = EcuSafety.UNKNOWN
        """Nobody who raises an error knows it: the engine asks its journal where the error leaves."""
        self.log = log

    @property
    def do_now(self) -> str:
        """What to do now, in English."""
        return " ".join(one.text for one in self.advice)

    @property
    def details(self) -> tuple[str, ...]:
        """What belongs to it, in English, a line each."""
        return tuple(one.text for one in self.points)

    @property
    def said(self) -> Phrase:
        """What happened, to be said within something else."""
        return Phrase(self.key, self.fields, self.what)

    def advise(self, *more: Phrase) -> None:
        """What to do now besides."""
        self.advice += more

    def advise_instead(self, *advice: Phrase) -> None:
        """What to do now in place of what the catalogue says: whoever caught the error knows better."""
        self.advice = advice

    def add(self, *points: Phrase) -> None:
        """Further details."""
        self.points += points

    def as_dict(self) -> ErrorTold:
        """JSON form that crosses the engine's socket."""
        return ErrorTold(
            code=self.code,
            what=self.what,
            ecu=self.ecu,
            do_now=self.do_now,
            log=self.log,
            details=list(self.details),
            key=self.key,
            fields=told(self.fields),
            advice=[one.as_dict() for one in self.advice],
            points=[one.as_dict() for one in self.points],
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> PitboxError:
        """Rebuild an error a client received, in English; unknown safety words become UNKNOWN."""
        details = data.get("details")
        word = str(data.get("ecu"))
        error = PitboxError(
            str(data.get("code", "UNKNOWN")),
            str(data.get("what", "the engine gave no reason")),
            do_now=str(data.get("do_now", "")),
            log=str(data["log"]) if data.get("log") else None,
            details=tuple(str(item) for item in details) if isinstance(details, list) else (),
        )
        error.ecu = EcuSafety(word) if word in set(EcuSafety) else EcuSafety.UNKNOWN
        error._read_keys(data)
        return error

    def _read_keys(self, data: Mapping[str, object]) -> None:
        """What screens translate, where all of it is told; the English stands without it."""
        try:
            keyed = checked(_Keyed, data)
        except UnreadableError:
            return
        said = Phrase.read({**keyed, "text": self.what})
        self.key, self.fields = said.key, said.fields
        self.advice = tuple(map(Phrase.read, keyed["advice"]))
        self.points = tuple(map(Phrase.read, keyed["points"]))


class EngineError(PitboxError):
    """An error that leaves the engine: by key and fields, its sentences from the one catalogue."""

    def __init__(
        self, key: str, *, log: str | None = None, points: Sequence[Phrase] = (), **fields: Field
    ) -> None:
        """`key` is the code, and behind a dot which of its sentences, where it has several.

        Raises ValueError for what the catalogue has no words for, and for other fields than these have.
        """
        words = ERRORS.get(key)
        if words is None:
            raise ValueError(f"there are no words for {key!r}")
        safe = harmless(fields)
        named = words.fields
        if named != set(safe):
            raise ValueError(f"{key} is told with {sorted(named)}, not with {sorted(safe)}")
        what, do_now = filled(words.what, safe), filled(words.do_now, safe)
        super().__init__(key.partition(".")[0], what, do_now=do_now, log=log)
        self.key = key
        self.fields = safe
        asked = fields_of(words.do_now)
        self.advice = (Phrase(key, {name: safe[name] for name in safe if name in asked}, do_now),)
        self.points = tuple(points)


def failure_of(told: ErrorTold | None) -> PitboxError:
    """The error that an operation ended with, also where it was told without one."""
    return PitboxError.from_dict(dict(told or {}))
