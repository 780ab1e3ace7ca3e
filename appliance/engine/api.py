"""The engine's HTTP interface on its UNIX socket: state, live events, operations, questions, uploads."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from aiohttp import web

from appliance.contract.alarm_texts import Trouble
from appliance.contract.catalogue import told
from appliance.contract.entry_events import QuestionEvent
from appliance.contract.errors import EngineError
from appliance.contract.events_told import QuestionTold
from appliance.contract.jobs import ECU_IN_DANGER
from appliance.contract.operations import Operation
from appliance.contract.roles import EVERYBODY, PeerRole
from appliance.contract.told import (
    Cancelled,
    EventPage,
    JobTold,
    OperationTold,
    SafetyTold,
    Snapshot,
    TroubleTold,
    UploadTold,
)
from appliance.contract.voltage import VoltageTold
from appliance.engine.context import EngineContext
from appliance.engine.event_hub import PAGE_EVENTS, Hub
from appliance.engine.http_middleware import (
    MAX_FILE_BYTES,
    actor_of,
    body_of,
    errors_as_json,
    id_of,
    json_object,
    only_known_users,
    only_permitted,
    role_of_request,
    seconds_of,
    user_of,
)
from appliance.engine.openapi import openapi
from appliance.engine.operation_runner import Operator
from appliance.engine.operations.registry import prepare
from appliance.engine.proposal_routes import ProposalRoutes
from appliance.engine.questions import AnswerGiven, QuestionDesk, answer_in
from appliance.engine.routes import Query, Route, add_routes
from appliance.engine.secrets_api import SecretsApi
from appliance.engine.stored_api import StoredApi, job_told
from appliance.engine.tuned_package import is_package
from appliance.engine.worker import Worker
from appliance.flashing.safety import standing

_LONGEST_WAIT_S = 60.0
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)

_OF_JOB = (Query("job", {"type": "string"}),)
_AFTER = (
    Query("after", {"type": "string", "pattern": "^[0-9]{1,18}$"}),
    Query("follow", {"type": "string"}),
)
_WAIT = (Query("wait", {"type": "number", "minimum": 0}),)


class Api:
    """Handlers; one instance per engine."""

    def __init__(
        self,
        box: EngineContext,
        worker: Worker,
        hub: Hub,
        operator: Operator,
        desk: QuestionDesk,
        gaps: tuple[str, ...] = (),
    ) -> None:
        """`gaps` are the protections of memory that do not hold, in words."""
        self._box = box
        self._worker = worker
        self._hub = hub
        self._operator = operator
        self._desk = desk
        self._gaps = gaps
        self._receiving = False
        self._proposals = ProposalRoutes(box, worker, operator)
        self._stored = StoredApi(box, worker, operator)

    def application(self) -> web.Application:
        """The aiohttp application, with its guards."""
        app = web.Application(
            middlewares=[
                errors_as_json(self._box, self._worker),
                only_known_users(self._box),
                only_permitted(self._box),
            ]
        )
        add_routes(app, self.routes())
        return app

    def routes(self) -> tuple[Route, ...]:
        """Every request with the roles that may make it."""
        get, post, all_may = "GET", "POST", EVERYBODY
        operation = "/v1/operations/{id}"
        return (
            Route(get, "/v1/openapi.json", self._openapi, all_may, "This document", dict[str, object]),
            Route(get, "/v1/snapshot", self._snapshot, all_may, "All that holds now", Snapshot),
            Route(
                get, "/v1/safety", self._safety, all_may, "Whether ECUs are safe", SafetyTold, query=_OF_JOB
            ),
            Route(
                get,
                "/v1/events",
                self._events,
                all_may,
                "What happened behind a number, or what happens from now on",
                EventPage,
                query=_AFTER,
                streams=True,
            ),
            Route(
                get, "/v1/operations", self._operations, all_may, "What was asked for", list[OperationTold]
            ),
            Route(
                post,
                "/v1/operations",
                self._start,
                all_may,
                "Start an operation",
                OperationTold,
                body=Operation,
                status=202,
            ),
            Route(get, operation, self._operation, all_may, "What became of it", OperationTold, query=_WAIT),
            Route(post, f"{operation}/cancel", self._cancel, all_may, "Stop it before an erase", Cancelled),
            Route(get, "/v1/questions", self._questions, all_may, "What the box asks", list[QuestionTold]),
            Route(
                post, "/v1/questions/{id}", self._answer, all_may, "Answer it", QuestionTold, body=AnswerGiven
            ),
            Route(
                post,
                "/v1/uploads",
                self._upload,
                all_may,
                "Hand in a file",
                UploadTold,
                body=bytes,
                status=201,
            ),
            *self._stored.routes(),
            *self._proposals.routes(),
            *SecretsApi(self._box, self._worker, self._operator).routes(),
        )

    async def _openapi(self, request: web.Request) -> web.Response:
        """Made anew each time: nobody asks for it in a car."""
        return web.json_response(openapi(self.routes(), version("pitbox")))

    async def _snapshot(self, request: web.Request) -> web.Response:
        return web.json_response(await self._state())

    async def _safety(self, request: web.Request) -> web.Response:
        """How the ECU of `job` stands, or of every job, and each write that is not over."""
        job_id = request.query.get("job")
        box = self._box
        return await self._from_worker(lambda: standing(box.journal, job_id, writing=box.writing).as_dict())

    async def _state(self) -> Snapshot:
        danger = await self._worker.call(self._jobs_in_danger)
        current = self._operator.current
        return Snapshot(
            kind="snapshot",
            role=self._box.keys.role.value,
            device=self._box.keys.device_id,
            simulated=self._box.connection.simulated,
            voltmeter_missing=self._box.connection.voltmeter_missing,
            supply=await self._worker.call(self._supply),
            protection_gaps=list(self._gaps),
            journal_differences=[_trouble(one) for one in self._box.journal.differences],
            stored_files=await self._worker.call(self._box.keeper.health),
            operation=current.as_dict() if current else None,
            recoverable=danger,
            questions=await self._worker.call(self._open_questions),
            proposals=await self._worker.call(self._box.journal.proposals.open),
            seq=self._hub.head,
            latest=self._hub.snapshot(),
        )

    def _supply(self) -> VoltageTold | None:
        """In the worker's thread: the reading's age is one on its clock."""
        found = self._box.power.voltage() if self._box.power else None
        if found is None:
            return None
        return VoltageTold(volts=found.volts, age_s=found.age_s, source=found.source)

    def _jobs_in_danger(self) -> list[JobTold]:
        return [job_told(self._box, job) for job in self._box.journal.jobs() if job.state in ECU_IN_DANGER]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Behind the number `after`: a page as JSON, or with `follow` a stream. Without a number a stream of
        what happens from now on.
        """
        after = _number_of(request.query.get("after"))
        if after is not None and not request.query.get("follow"):
            return await self._page(self._hub.known(after))
        return await self._stream(request, after)

    async def _page(self, after: int) -> web.Response:
        lines, last = await self._hub.read(after)
        lines = lines[:PAGE_EVENTS]
        last = lines[-1]["seq"] if lines else last
        return web.json_response(
            {"events": lines, "after": after, "last": last, "more": last < self._hub.head}
        )

    async def _stream(self, request: web.Request, after: int | None) -> web.StreamResponse:
        """JSON lines: the snapshot first, then every event behind `after`, by default those behind it."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        first = await self._state()
        events = self._hub.listen(after)
        with suppress(ConnectionError):  # whoever listened leaves when it likes, and no log tells of it
            await response.prepare(request)
            await response.write(_line(first))
            async for event in events:
                await response.write(_line(event))
        return response

    async def _start(self, request: web.Request) -> web.Response:
        asked = await json_object(request)
        verb = str(asked.pop("verb", ""))
        work = prepare(verb, asked)
        job = str(asked["job"]) if asked.get("job") else None
        operation = self._operator.start(verb, job, work, actor_of(request, self._box), asked)
        return web.json_response(operation.as_dict(), status=202)

    async def _operations(self, request: web.Request) -> web.Response:
        return web.json_response(await self._operator.all())

    async def _operation(self, request: web.Request) -> web.Response:
        wait_s = min(_LONGEST_WAIT_S, seconds_of(request.query.get("wait")))
        return web.json_response(await self._operator.told(id_of(request, "OPERATION_UNKNOWN.no_id"), wait_s))

    async def _cancel(self, request: web.Request) -> web.Response:
        await self._operator.cancel(id_of(request, "OPERATION_UNKNOWN.no_id"))
        return web.json_response({"cancelled": True})

    async def _questions(self, request: web.Request) -> web.Response:
        """Questions to the person at the box that wait for an answer, oldest first."""
        return await self._from_worker(self._open_questions)

    def _open_questions(self) -> list[QuestionTold]:
        return [_question(one) for one in self._desk.questions()]

    async def _answer(self, request: web.Request) -> web.Response:
        """The first answer that fits counts; `by` is the name of whoever gives it.

        The web may answer what its question leaves to anybody: who asks through it may be anywhere.
        """
        question_id = id_of(request, "QUESTION_UNKNOWN.no_id")
        given = answer_in(await json_object(request))
        by = f"{given.by} ({user_of(request)})" if given.by else user_of(request)
        beside = role_of_request(request, self._box) is PeerRole.OPERATOR
        return await self._from_worker(
            lambda: _question(self._desk.answer(question_id, given.answer, by, at_the_box=beside))
        )

    async def _upload(self, request: web.Request) -> web.Response:
        """A tuned file; it is held in memory only, only the newest one, and only until it is used.

        One at a time is received: half uploads together could fill the memory.
        """
        if self._receiving:
            raise EngineError("UPLOAD_BUSY")
        self._receiving = True
        try:
            data = await body_of(request, MAX_FILE_BYTES)
        finally:
            self._receiving = False
        if role_of_request(request, self._box) is not PeerRole.OPERATOR and not is_package(data):
            raise EngineError("PLAINTEXT_REFUSED")
        upload_id = uuid.uuid4().hex[:12]
        self._box.uploads.clear()
        self._box.uploads[upload_id] = data
        return web.json_response({"upload": upload_id, "bytes": len(data)}, status=201)

    async def _from_worker(self, ask: Callable[[], Any]) -> web.Response:
        return web.json_response(await self._worker.call(ask))


def _trouble(found: Trouble) -> TroubleTold:
    return TroubleTold(key=found.key, fields=told(found.fields), text=found.text)


def _question(event: QuestionEvent) -> QuestionTold:
    return QuestionTold(
        kind="question",
        job_id=event.job_id,
        id=event.id,
        key=event.key,
        text=event.text,
        choices=list(event.choices),
        asked_at=event.asked_at,
        deadline_s=event.deadline_s,
        state=event.state.value,
        answer=event.answer,
        by=event.by,
        answered_at=event.answered_at,
        who="anybody" if event.who == "anybody" else "at_the_box",
        fields=event.fields,
    )


def _number_of(text: str | None) -> int | None:
    """A number in a query. Raises PitboxError."""
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise EngineError("PARAMETERS_INVALID.after")
    return int(text)


def _line(data: Mapping[str, object]) -> bytes:
    return json.dumps(data).encode() + b"\n"
