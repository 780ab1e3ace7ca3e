"""What the write loop takes: a plan of which car and box have said, just now, that it may begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from appliance.contract.gates import GateVerdict
from appliance.flashing.context import JobContext
from appliance.flashing.errors import GatesRefusedError
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.judging import check_car
from appliance.flashing.gates.request import WriteRequest
from appliance.flashing.gates.resuming import ask_the_wire
from appliance.flashing.plan import FlashPlan
from appliance.flashing.resumption import Resumption

_BY_THE_GATES = object()


@final
class WireWord:
    """What the gates of car and box said of one write; `ask_car` and `ask_again` alone make it."""

    __slots__ = ("about", "job_id", "verdicts")

    def __init__(
        self,
        made_by: object,
        job_id: str,
        about: WriteRequest | None,
        verdicts: tuple[GateVerdict, ...],
    ) -> None:
        """Raises TypeError where somebody else than the gates makes it."""
        if made_by is not _BY_THE_GATES:
            raise TypeError("only the gates say what car and box say")
        self.job_id = job_id
        self.about = about
        """None of an interrupted write."""
        self.verdicts = verdicts


async def ask_car(check: CarCheck, heard: Callable[[GateVerdict], None]) -> WireWord:
    """Every gate of the car and the box before a fresh write; `heard` is told each. Raises PitboxError."""
    verdicts: list[GateVerdict] = []
    async for one in check_car(check):
        verdicts.append(one)
        heard(one)
    return WireWord(_BY_THE_GATES, check.job.id, check.request, tuple(verdicts))


async def ask_again(job: JobContext, *, touched: bool) -> WireWord:
    """What ECU, supply and bus say before an interrupted write goes on. Raises PitboxError."""
    return WireWord(_BY_THE_GATES, job.id, None, await ask_the_wire(job, touched=touched))


@dataclass(frozen=True, slots=True)
class ExecutablePlan:
    """A plan and the wire's word on that very write.

    Raises GatesRefusedError where that is no yes, ValueError where it is about another write.
    """

    plan: FlashPlan
    word: WireWord

    def __post_init__(self) -> None:
        if not self._of_one_write():
            raise ValueError("car and box were asked about another write")
        if not all(verdict.passed for verdict in self.word.verdicts):
            raise GatesRefusedError(self.word.verdicts)

    @property
    def job_id(self) -> str:
        """The job that it writes for."""
        return self.word.job_id

    def _of_one_write(self) -> bool:
        asked, word = self.plan.request, self.word
        if isinstance(asked, Resumption):
            return asked.flash.job_id == word.job_id and asked.on_the_wire is word.verdicts
        return asked.job_id == word.job_id and asked is word.about
