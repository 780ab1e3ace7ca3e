"""What a gate is: a name, a question, whether it applies to this write, and its judgement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from appliance.contract.catalogue import Field
from appliance.contract.gates import Finding, Verdict, found
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.request import WriteRequest
from appliance.flashing.gates.wire_check import WireCheck
from appliance.flashing.resumption import Resumption


class Judgement(NamedTuple):
    """A verdict and what it rests on."""

    verdict: Verdict
    findings: tuple[Finding, ...]


class Gate(ABC):
    """One safety check. A gate that no subclass says may be waived never is."""

    name: ClassVar[str]
    question: ClassVar[str]
    """In words, answered yes by a pass."""
    waivable: ClassVar[frozenset[Verdict]] = frozenset()
    """The verdicts that a waiver may set aside."""


class PaperGate(Gate):
    """A check of the file, its papers and the original: it needs no wire."""

    @abstractmethod
    def judge(self, request: WriteRequest) -> Judgement:
        """Raises nothing that is expected; whatever it raises all the same is a fail."""


class CarGate(Gate):
    """A check of the car and the box as they are now."""

    def applies(self, check: CarCheck) -> Finding | None:
        """None where it does, else why this way into the ECU has nothing that it could ask."""
        return None

    @abstractmethod
    async def judge(self, check: CarCheck) -> Judgement:
        """May raise AccessError or OSError where ECU or wire do not answer: that is a fail."""


class WireGate(CarGate):
    """A check of ECU, supply or bus that needs no papers: a recovery asks it as well."""

    @abstractmethod
    async def judge(self, check: WireCheck) -> Judgement:
        """May raise AccessError or OSError where ECU or wire do not answer: that is a fail."""


class ResumptionGate(Gate):
    """A check of an interrupted write before it is taken up again: it needs no wire."""

    @abstractmethod
    def judge(self, resumption: Resumption) -> Judgement:
        """Raises nothing that is expected."""


def passed(key: str, **fields: Field) -> Judgement:
    """A pass for one reason."""
    return Judgement(Verdict.PASS, (found(key, **fields),))


def failed(key: str, **fields: Field) -> Judgement:
    """A fail for one reason."""
    return Judgement(Verdict.FAIL, (found(key, **fields),))


def failed_for(findings: Iterable[Finding]) -> Judgement:
    """A fail for several reasons."""
    return Judgement(Verdict.FAIL, tuple(findings))


def unknown(key: str, **fields: Field) -> Judgement:
    """Not a pass: it could not be found out."""
    return Judgement(Verdict.UNKNOWN, (found(key, **fields),))


def passed_if(good: bool, key: str, **fields: Field) -> Judgement:
    """A pass or a fail, told by the same figures."""
    return passed(key, **fields) if good else failed(key, **fields)
