"""Runs operations on the worker, one at a time on the ECU, and keeps their outcome for whoever asks later."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import rfc8785

from appliance.contract.actors import Actor
from appliance.contract.errors import EngineError, ErrorTold, PitboxError
from appliance.contract.operations import OperationClass
from appliance.contract.phrases import phrase
from appliance.contract.results import Result
from appliance.contract.told import OperationTold
from appliance.engine.context import EngineContext
from appliance.engine.event_hub import Hub
from appliance.engine.operation import WRITING, Operation, excludes, have_given_way, over
from appliance.engine.operations.registry import Prepared
from appliance.engine.outcome import count_seconds, note_failure
from appliance.engine.worker import Worker
from appliance.flashing.journal import Step
from appliance.flashing.operation_log import Beginning, OperationLog
from appliance.flashing.recorder import acting
from appliance.flashing.safety import tell_safety
from appliance.vault.memory import give_back_free_memory

_KEPT = 50
_JUDGED = WRITING | {"read"}
"""Verbs whose failure becomes the result of the job's report."""
Begin = Callable[[Beginning], AbstractAsyncContextManager[None]]
"""Writes an operation's beginning down and holds what it needs until it is over."""
log = logging.getLogger("pitbox.engine")


class Operator:
    """Lives on the HTTP loop. The ECU is used by one operation at a time; harmless ones run beside it."""

    def __init__(self, box: EngineContext, worker: Worker, hub: Hub) -> None:
        self._box = box
        self._worker = worker
        self._hub = hub
        self._operations: OrderedDict[str, Operation] = OrderedDict()
        self._closing = False
        self.current: Operation | None = None
        """The operation that has the ECU."""

    async def told(self, operation_id: str, wait_s: float = 0.0) -> OperationTold:
        """An operation in its JSON form, once it is over or after so many seconds; also of an earlier life.

        Raises PitboxError for an unknown id.
        """
        operation = self._operations.get(operation_id)
        if operation is not None:
            await over(operation, wait_s)
            return operation.as_dict()
        kept = await self._worker.call(lambda: self._box.journal.operations.get(operation_id))
        if kept is None:
            raise _unknown(operation_id)
        return kept

    async def all(self) -> list[OperationTold]:
        """Every operation that is kept, newest first."""
        return await self._worker.call(self._box.journal.operations.all)

    def start(
        self,
        verb: str,
        job: str | None,
        work: Prepared,
        actor: Actor,
        parameters: Mapping[str, Any],
        begin: Begin | None = None,
    ) -> Operation:
        """Begin; what is pre-emptible gives way to what is exclusive.

        `begin` stands in for writing down its beginning, and nothing is done where that fails. Raises
        PitboxError ENGINE_BUSY beside what it cannot run with, ENGINE_STOPPING at the end.
        """
        kind, leaving = work.verb.kind, None
        self._refuse_beside(kind, job, opens_files=work.verb.opens_files)
        digest = hashlib.sha256(rfc8785.dumps({"verb": verb, **parameters})).hexdigest()
        operation = Operation(uuid.uuid4().hex[:12], verb, job, kind, actor, digest, self._hub.head)
        self._remember(operation)
        if kind is not OperationClass.HARMLESS:
            leaving, self.current = self.current, operation
            self._hub.forget_latest()
        future = asyncio.wrap_future(self._worker.submit(self._run(operation, work, leaving, begin)))
        future.add_done_callback(lambda done: self._finish(operation, done))
        return operation

    async def cancel(self, operation_id: str) -> None:
        """Stop an operation that has not erased anything. Raises PitboxError once it has."""
        operation = self._operations.get(operation_id)
        if operation is None:
            await self.told(operation_id)  # of an earlier life: over, or unknown
        elif not operation.finished.is_set():
            await self._worker.call(lambda: self._cancel(operation))

    async def close(self) -> None:
        """Start nothing more; cancel what may be cancelled and wait for what may not."""
        self._closing = True
        for operation in list(self._operations.values()):
            if operation.finished.is_set():
                continue
            try:
                await self.cancel(operation.id)
            except PitboxError as error:
                log.warning("stopping after %s: %s", operation.verb, error.what)
            await operation.finished.wait()

    def refuse_busy(self) -> None:
        """For what opens files. Raises PitboxError ENGINE_BUSY while an operation has the ECU to itself: the
        worker's thread is for the car then.
        """
        self._refuse_beside(OperationClass.HARMLESS, None, opens_files=True)

    def _refuse_beside(self, kind: OperationClass, job: str | None, *, opens_files: bool) -> None:
        """Raises PitboxError where this cannot run beside the operation that has the ECU."""
        if self._closing:
            raise EngineError("ENGINE_STOPPING")
        busy = self.current
        if busy is None or not excludes(busy, kind, job, opens_files=opens_files):
            return
        asked = phrase("operation.asked_for", operation=busy.id, actor=str(busy.actor))
        if busy.job:
            raise EngineError("ENGINE_BUSY.of_job", verb=busy.verb, job=busy.job, points=[asked])
        raise EngineError("ENGINE_BUSY", verb=busy.verb, points=[asked])

    def _cancel(self, operation: Operation) -> None:
        """In the worker's thread: nothing can be erased between the look and the cancelling."""
        if operation.writes and self._touched(operation.job):
            raise EngineError("TOO_LATE_TO_CANCEL")
        if operation.task is not None:
            operation.task.cancel()

    def _touched(self, job_id: str | None) -> bool:
        """Whether an open write (of that job) has begun to erase."""
        journal = self._box.journal
        return any(
            step.step is Step.ERASE_INTENT
            for flash in journal.open_flashes()
            if job_id in (None, flash.job_id)
            for step in journal.steps(flash.id)
        )

    async def _run(
        self, operation: Operation, work: Prepared, leaving: Operation | None, begin: Begin | None
    ) -> _End:
        """On the worker's loop; simulated time passes only in here."""
        operation.task = asyncio.current_task()
        beginning = Beginning(operation.id, operation.verb, operation.job, operation.parameters_sha256)
        with acting(operation.actor):
            try:
                if leaving is not None:
                    await have_given_way(leaving, operation)
                async with (begin or self._written_down)(beginning):
                    result = await self._work(operation, work)
                end = _End("done", result=result)
            except asyncio.CancelledError:
                end = _End("cancelled", error=self._why_cancelled(operation))
            except Exception as error:  # noqa: BLE001 - kept and told as the operation's outcome
                end = _End("failed", error=told(as_ours(error), self._box))
            self._write_down(lambda log: _close(log, beginning, end))
        if work.verb.opens_files or operation.kind is not OperationClass.HARMLESS:
            let_go_of_images()
        return end

    @asynccontextmanager
    async def _written_down(self, beginning: Beginning) -> AsyncIterator[None]:
        self._write_down(lambda log: log.begin(beginning))
        yield

    def _write_down(self, what: Callable[[OperationLog], None]) -> None:
        """What only tells of an operation is no reason to stop it: a write has an intent of its own."""
        try:
            what(self._box.journal.operations)
            self._box.journal.events.make_room()
        except PitboxError as error:
            log.warning("an operation's beginning or end is not kept: %s", error.what)

    def _why_cancelled(self, operation: Operation) -> ErrorTold | None:
        """None where somebody cancelled it, who needs no reason."""
        error = operation.gave_way
        if error is None:
            return None
        tell_safety(error, self._box.journal, operation.job)
        return told(error, self._box)

    async def _work(self, operation: Operation, work: Prepared) -> Result:
        loop, job_id = asyncio.get_running_loop(), self._job_of(operation)
        began = loop.time()
        self._box.writing |= operation.writes
        try:
            with self._worker.time_passing():
                result = await work(self._box)
            job_id = result["job"]
            return result
        except Exception as unexpected:
            error = as_ours(unexpected)
            self._box.writing &= not operation.writes
            if job_id is not None and operation.verb in _JUDGED:
                note_failure(self._box.journal, job_id, error)
            lost = operation.verb == "recover" and job_id is None
            tell_safety(error, self._box.journal, job_id, journal_doubted=lost)
            if error is unexpected:
                raise
            raise error from unexpected
        finally:
            self._box.writing &= not operation.writes
            if job_id is not None:
                count_seconds(self._box.journal, job_id, loop.time() - began)

    def _job_of(self, operation: Operation) -> str | None:
        """The job named, or the one whose write is open and will be recovered."""
        if operation.job is not None or operation.verb != "recover":
            return operation.job
        return next((flash.job_id for flash in self._box.journal.open_flashes()), None)

    def _finish(self, operation: Operation, done: asyncio.Future[_End]) -> None:
        if self.current is operation:
            self.current = None
        end = done.result()
        operation.state, operation.result, operation.error = end.state, end.result, end.error
        operation.finished.set()

    def _remember(self, operation: Operation) -> None:
        self._operations[operation.id] = operation
        over = [one.id for one in self._operations.values() if one.finished.is_set()]
        for operation_id in over[: max(0, len(self._operations) - _KEPT)]:
            del self._operations[operation_id]


@dataclass(frozen=True)
class _End:
    """How an operation ended."""

    state: str
    result: Result | None = None
    error: ErrorTold | None = None


def let_go_of_images() -> None:
    """What a failed operation had opened hangs on its traceback in a circle: nobody else frees it soon."""
    gc.collect()
    give_back_free_memory()


def _close(log: OperationLog, beginning: Beginning, end: _End) -> None:
    """Also of one that never came to its beginning: somebody asked for it."""
    if log.get(beginning.id) is None:
        log.begin(beginning)
    job_id = end.result["job"] if end.result else None
    log.end(beginning.id, end.state, job_id, end.result, end.error)


def _unknown(operation_id: str) -> PitboxError:
    return EngineError("OPERATION_UNKNOWN", operation=operation_id)


def as_ours(error: BaseException) -> PitboxError:
    """Any error as one with five answers; the unexpected ones go to the log with their trace."""
    if isinstance(error, PitboxError):
        return error
    log.error("unexpected error", exc_info=error)
    return EngineError("INTERNAL", kind=type(error).__name__, technical_text=str(error))


def told(error: PitboxError, box: EngineContext) -> ErrorTold:
    """The five answers, with the log's place, and a line in that log."""
    error.log = error.log or str(box.settings.log_path)
    log.warning("%s: %s", error.code, error.what)
    return error.as_dict()
