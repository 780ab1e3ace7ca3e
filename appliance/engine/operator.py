"""Runs one operation at a time on the worker and keeps its outcome for whoever asks later."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import ECU_IN_DANGER
from appliance.engine.box import Box
from appliance.engine.hub import Hub
from appliance.engine.operations.registry import Work
from appliance.engine.worker import Worker

_KEPT = 50
log = logging.getLogger("pitbox.engine")


@dataclass
class Operation:
    """One thing a client asked for."""

    id: str
    verb: str
    job: str | None
    state: str = "running"
    result: dict[str, Any] | None = None
    error: dict[str, object] | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "id": self.id,
            "verb": self.verb,
            "job": self.job,
            "state": self.state,
            "result": self.result,
            "error": self.error,
        }


class Operator:
    """Lives on the HTTP loop. The car is touched by one operation at a time."""

    def __init__(self, box: Box, worker: Worker, hub: Hub) -> None:
        self._box = box
        self._worker = worker
        self._hub = hub
        self._operations: OrderedDict[str, Operation] = OrderedDict()
        self._running: tuple[Operation, asyncio.Future[dict[str, Any]]] | None = None

    @property
    def current(self) -> Operation | None:
        """The running operation."""
        return self._running[0] if self._running else None

    def get(self, operation_id: str) -> Operation:
        """Raises PitboxError for an unknown id."""
        if operation_id not in self._operations:
            raise PitboxError(
                "OPERATION_UNKNOWN",
                f"there is no operation {operation_id}",
                do_now="Ask for the jobs instead.",
            )
        return self._operations[operation_id]

    def start(self, verb: str, job: str | None, work: Callable[[Box], Work]) -> Operation:
        """Begin. Raises PitboxError ENGINE_BUSY while another operation runs."""
        if self._running is not None:
            busy = self._running[0]
            raise PitboxError(
                "ENGINE_BUSY",
                f"the box is busy with {busy.verb}" + (f" of job {busy.job}" if busy.job else ""),
                do_now="Watch it with `pitbox jobs --watch`, or wait until it is done.",
                ecu=EcuSafety.UNTOUCHED,
            )
        operation = Operation(uuid.uuid4().hex[:12], verb, job)
        self._remember(operation)
        self._hub.clear()
        self._hub.tell({"kind": "operation", **operation.as_dict()})
        future = asyncio.wrap_future(self._worker.submit(self._run(work)))
        self._running = (operation, future)
        future.add_done_callback(lambda done: self._finish(operation, done))
        return operation

    async def wait(self, operation: Operation, seconds: float) -> None:
        """Return when the operation is over, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await operation.finished.wait()
        except TimeoutError:
            return

    async def cancel(self, operation_id: str) -> None:
        """Stop an operation that has not touched the ECU. Raises PitboxError once it has."""
        operation = self.get(operation_id)
        if self._running is None or self._running[0] is not operation:
            return
        job = operation.job
        if await self._worker.call(lambda: job is not None and self._in_danger(job)):
            raise PitboxError(
                "TOO_LATE_TO_CANCEL",
                "the ECU's memory is being written",
                ecu=EcuSafety.HALF_WRITTEN,
                do_now="Let it finish. Stopping now would leave the ECU half written.",
            )
        self._running[1].cancel()

    def _in_danger(self, job_id: str) -> bool:
        return self._box.journal.job(job_id).state in ECU_IN_DANGER

    async def _run(self, work: Callable[[Box], Work]) -> dict[str, Any]:
        """On the worker's loop; simulated time passes only in here."""
        loop = asyncio.get_running_loop()
        self._worker.pass_time(loop, True)
        began = loop.time()
        try:
            result = await work(self._box)
            self._count_seconds(str(result["job"]), loop.time() - began)
            return result
        finally:
            self._worker.pass_time(loop, False)

    def _count_seconds(self, job_id: str, seconds: float) -> None:
        so_far = self._box.journal.job(job_id).detail.get("seconds")
        total = seconds + (so_far if isinstance(so_far, float) else 0.0)
        self._box.journal.note(job_id, seconds=round(total, 3))

    def _finish(self, operation: Operation, done: asyncio.Future[dict[str, Any]]) -> None:
        self._running = None
        if done.cancelled():
            operation.state = "cancelled"
        elif (error := done.exception()) is not None:
            operation.state, operation.error = "failed", self._told(error)
        else:
            operation.state, operation.result = "done", done.result()
        operation.finished.set()
        self._hub.tell({"kind": "operation", **operation.as_dict()})

    def _told(self, error: BaseException) -> dict[str, object]:
        """Five answers for any error; the unexpected ones go to the log with their trace."""
        if not isinstance(error, PitboxError):
            log.error("unexpected error", exc_info=error)
            error = PitboxError(
                "INTERNAL",
                f"unexpected {type(error).__name__}: {error}",
                ecu=EcuSafety.UNKNOWN,
                do_now="Keep the ECU powered. `pitbox jobs` tells whether a write is open; send us the log.",
            )
        error.log = error.log or str(self._box.settings.log_path)
        log.warning("%s: %s", error.code, error.what)
        return error.as_dict()

    def _remember(self, operation: Operation) -> None:
        self._operations[operation.id] = operation
        while len(self._operations) > _KEPT:
            self._operations.popitem(last=False)
