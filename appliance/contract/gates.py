"""The verdict of a safety gate: what it found as keys with fields, and the same in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NotRequired

from typing_extensions import TypedDict

from appliance.contract.catalogue import Field, FieldTold, spelled, told
from appliance.contract.gate_texts import TEXTS


class Verdict(StrEnum):
    """How a gate stands. Only PASS, NOT_APPLICABLE and WAIVED let a write begin."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    """It could not be found out: that is not a pass."""
    NOT_APPLICABLE = "not_applicable"
    """This way into the ECU has nothing that the gate could ask; the reason is shown."""
    WAIVED = "waived"
    """It does not pass, and somebody who may has set it aside with a reason."""
    PENDING = "pending"
    """Not judged: what came before it was broken off."""


LETS_THROUGH = frozenset({Verdict.PASS, Verdict.NOT_APPLICABLE, Verdict.WAIVED})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a gate found; screens translate by the key, everybody else reads the text."""

    key: str
    fields: dict[str, Field] = field(default_factory=dict)
    text: str = field(init=False)
    """In English."""

    def __post_init__(self) -> None:
        """Raises ValueError for what the catalogue has no words for."""
        object.__setattr__(self, "text", spelled(TEXTS, self.key, self.fields))


def found(key: str, **fields: Field) -> Finding:
    """A finding. Raises ValueError for what the catalogue has no words for."""
    return Finding(key, fields)


@dataclass(frozen=True, slots=True)
class Waiver:
    """Who sets a gate aside, and why."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """One safety check before the first erase, with its question."""

    name: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    question: str = ""
    waiver: Waiver | None = None
    """Given where the verdict is WAIVED, and only there."""
    detail: str = field(init=False)
    """All findings in English."""

    def __post_init__(self) -> None:
        """Raises ValueError for a word that is no verdict, and for a waiver without a name or a verdict."""
        object.__setattr__(self, "verdict", Verdict(self.verdict))
        if (self.verdict is Verdict.WAIVED) != (self.waiver is not None):
            raise ValueError(f"{self.name} is {self.verdict} with the waiver {self.waiver}")
        object.__setattr__(self, "detail", "; ".join(one.text for one in self.findings))

    @property
    def passed(self) -> bool:
        """Whether a write may begin as far as this gate is concerned; unknown and pending are no pass."""
        return self.verdict in LETS_THROUGH


class FindingTold(TypedDict):
    """One thing a gate found."""

    key: str
    fields: dict[str, FieldTold]
    text: str


class GateTold(TypedDict):
    """What a gate said."""

    name: str
    verdict: str
    detail: str
    """All findings in English."""
    findings: NotRequired[list[FindingTold]]
    """For screens that translate. Not told of what an earlier release judged."""


def gate_told(one: GateVerdict) -> GateTold:
    """JSON form of a verdict."""
    findings = [FindingTold(key=each.key, fields=told(each.fields), text=each.text) for each in one.findings]
    return GateTold(name=one.name, verdict=one.verdict.value, detail=one.detail, findings=findings)
