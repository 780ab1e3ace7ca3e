"""An operator and its desk of proposals around a garage: HTTP's loop and the worker's are one."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from appliance.contract.actors import Actor
from appliance.contract.operations import OperationClass, Restore, Write
from appliance.contract.proposals import Propose
from appliance.contract.proposals_told import ProposalTold
from appliance.contract.told import OperationTold
from appliance.engine.event_hub import Hub
from appliance.engine.operation_runner import Operator
from appliance.engine.operations.registry import prepare
from appliance.engine.proposing import ProposalDesk
from tests.support.garage import Garage

Done = TypeVar("Done")
OPERATOR, OTHER_OPERATOR, WEB = Actor("operator", 0), Actor("operator", 7), Actor("web", 33)


class _OneLoop:
    """A worker that works on the loop it is asked from, in the order in which it is asked."""

    def submit(self, work: Coroutine[Any, Any, Done]) -> concurrent.futures.Future[Done]:
        return asyncio.run_coroutine_threadsafe(work, asyncio.get_running_loop())

    async def call(self, function: Callable[[], Done]) -> Done:
        async def inside() -> Done:
            return function()

        return await asyncio.wrap_future(self.submit(inside()))

    @contextmanager
    def time_passing(self) -> Iterator[None]:
        yield


class Desk:
    """What clients of the socket reach, with the actor that the kernel would tell."""

    def __init__(self, garage: Garage) -> None:
        self._worker = _OneLoop()
        worker = cast(Any, self._worker)
        self.garage = garage
        self.operator = Operator(garage.box, worker, Hub())
        self.desk = ProposalDesk(garage.box, worker, self.operator)

    async def call(self, function: Callable[[], Done]) -> Done:
        """In the worker's thread."""
        return await self._worker.call(function)

    async def shown(self, verb: str, **asked: object) -> str:
        """Digest of what the verb would do."""
        told: Any = await prepare("preview", {"of": verb, **asked})(self.garage.box)
        return str(told["digest"])

    async def propose_restore(self, actor: Actor = WEB, **more: Any) -> ProposalTold:
        digest = await self.shown("restore", job=self.garage.job)
        operation = Restore(verb="restore", job=self.garage.job, confirmed=digest)
        return await self.desk.propose(Propose(operation=operation, **more), actor)

    async def propose_write(self, data: bytes, actor: Actor = WEB, **more: Any) -> ProposalTold:
        asked = {"job": self.garage.job, "upload": self.garage.hand_in(data)}
        operation = Write(verb="write", **asked, confirmed=await self.shown("write", **asked))
        return await self.desk.propose(Propose(operation=operation, **more), actor)

    async def over(self, told: ProposalTold) -> OperationTold:
        """The operation it was started as, once that is over."""
        assert told["operation"] is not None, told
        return await self.operator.told(told["operation"], 3600.0)

    async def occupied(self) -> Callable[[], None]:
        """Something has the ECU until what is given back is called."""
        held = self.operator.current = cast(Any, _Busy())

        def free() -> None:
            assert self.operator.current is held
            self.operator.current = None

        return free


class _Busy:
    id, verb, job, actor, kind, writes = "op", "read", "other", OPERATOR, OperationClass.EXCLUSIVE, False
