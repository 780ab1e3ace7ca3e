"""One thing that a client asked for, what cannot run beside it, and how it gives way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from appliance.contract.actors import BOX, Actor, ActorTold
from appliance.contract.errors import EngineError, ErrorTold, PitboxError
from appliance.contract.operations import OperationClass
from appliance.contract.results import Result
from appliance.contract.told import OperationTold
from appliance.flashing.operation_log import RUNNING

WRITING = frozenset({"write", "restore", "recover"})
"""Verbs that may erase."""


@dataclass
class Operation:
    """One thing a client asked for."""

    id: str
    verb: str
    job: str | None
    kind: OperationClass = OperationClass.EXCLUSIVE
    actor: Actor = BOX
    parameters_sha256: str = ""
    after: int = 0
    """Number behind which all its events come."""
    state: str = RUNNING
    result: Result | None = None
    error: ErrorTold | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[Any] | None = None
    """The work itself; it belongs to the worker's thread, as does `gave_way`."""
    gave_way: PitboxError | None = None
    """To what it was cancelled for."""

    @property
    def writes(self) -> bool:
        """Whether it may erase."""
        return self.verb in WRITING

    def as_dict(self) -> OperationTold:
        """JSON form."""
        return OperationTold(
            id=self.id,
            verb=self.verb,
            job=self.job,
            actor=ActorTold(role=self.actor.role, uid=self.actor.uid),
            parameters_sha256=self.parameters_sha256,
            after=self.after,
            state=self.state,
            result=self.result,
            error=self.error,
        )


def excludes(busy: Operation, kind: OperationClass, job: str | None, *, opens_files: bool) -> bool:
    """Whether something of this kind must wait for the operation that has the ECU.

    Beside an exclusive one nothing opens files, which keeps its thread, and nothing says a word on its job;
    one that writes without a named job may be about any.
    """
    if kind is OperationClass.PREEMPTIBLE:
        return True
    if busy.kind is OperationClass.PREEMPTIBLE:
        return False
    if kind is OperationClass.EXCLUSIVE or opens_files:
        return True
    return job == busy.job if busy.job is not None else busy.writes


async def have_given_way(leaving: Operation, to: Operation) -> None:
    """In the worker's thread: return once the other is over and its lines are let go."""
    task = leaving.task
    if task is None:  # both came to this loop in their order, so it has begun: else neither may go on
        raise RuntimeError(f"{leaving.verb} was never begun")
    if task.done():
        return
    leaving.gave_way = EngineError("GAVE_WAY", verb=leaving.verb, other=to.verb)
    task.cancel()
    await asyncio.wait({task})


async def over(operation: Operation, seconds: float) -> None:
    """Return when the operation is over, or after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await operation.finished.wait()
    except TimeoutError:
        return
