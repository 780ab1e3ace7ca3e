"""The engine's HTTP interface on its UNIX socket: state, live events, operations, jobs, files."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import ECU_IN_DANGER
from appliance.engine.box import Box
from appliance.engine.hub import Hub
from appliance.engine.operations.registry import prepare
from appliance.engine.operator import Operator
from appliance.engine.peers import may_drive, peer_of
from appliance.engine.report import report_of
from appliance.engine.worker import Worker
from appliance.flashing.journal import JobRecord
from appliance.vault.export import ExportFormat, export_image

MAX_FILE_BYTES = 64 * 1024 * 1024
_STATUS = {"ENGINE_BUSY": 409, "TOO_LATE_TO_CANCEL": 409, "JOB_UNKNOWN": 404, "OPERATION_UNKNOWN": 404}
_LONGEST_WAIT_S = 60.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """Handlers; one instance per engine."""

    def __init__(self, box: Box, worker: Worker, hub: Hub, operator: Operator) -> None:
        self._box = box
        self._worker = worker
        self._hub = hub
        self._operator = operator

    def application(self) -> web.Application:
        """The aiohttp application, with its guards."""
        guards = [errors_to_json, self._only_known_users]
        app = web.Application(client_max_size=MAX_FILE_BYTES, middlewares=guards)
        app.add_routes(
            [
                web.get("/v1/snapshot", self._snapshot),
                web.get("/v1/events", self._events),
                web.post("/v1/operations", self._start),
                web.get("/v1/operations/{id}", self._operation),
                web.post("/v1/operations/{id}/cancel", self._cancel),
                web.post("/v1/uploads", self._upload),
                web.get("/v1/jobs", self._jobs),
                web.get("/v1/jobs/{id}", self._job),
                web.get("/v1/jobs/{id}/report", self._report),
                web.get("/v1/jobs/{id}/export", self._export),
                web.get("/v1/definitions", self._definitions),
            ]
        )
        return app

    @web.middleware
    async def _only_known_users(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        transport = request.transport
        connection = transport.get_extra_info("socket") if transport else None
        if connection is None or not may_drive(peer_of(connection), self._box.settings.allowed_uids):
            raise web.HTTPForbidden(text="this user may not drive the engine")
        return await handler(request)

    async def _snapshot(self, request: web.Request) -> web.Response:
        return web.json_response(await self._state())

    async def _state(self) -> dict[str, Any]:
        current = self._operator.current
        danger = await self._worker.call(self._jobs_in_danger)
        return {
            "kind": "snapshot",
            "role": self._box.keys.role.value,
            "device": self._box.keys.device_id,
            "simulated": self._box.connection.simulated,
            "operation": current.as_dict() if current else None,
            "recoverable": danger,
            "latest": self._hub.snapshot(),
        }

    def _jobs_in_danger(self) -> list[dict[str, Any]]:
        return [_told(job) for job in self._box.journal.jobs() if job.state in ECU_IN_DANGER]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """JSON lines: the snapshot first, then every change."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        events = self._hub.listen()
        first = await self._state()
        await response.prepare(request)
        await response.write(_line(first))
        async for event in events:
            await response.write(_line(event))
        return response

    async def _start(self, request: web.Request) -> web.Response:
        asked = await _json_object(request)
        verb = str(asked.pop("verb", ""))
        work = prepare(verb, asked)
        job = str(asked["job"]) if asked.get("job") else None
        operation = self._operator.start(verb, job, work)
        return web.json_response(operation.as_dict(), status=202)

    async def _operation(self, request: web.Request) -> web.Response:
        operation = self._operator.get(request.match_info["id"])
        await self._operator.wait(operation, min(_LONGEST_WAIT_S, _seconds(request.query.get("wait"))))
        return web.json_response(operation.as_dict())

    async def _cancel(self, request: web.Request) -> web.Response:
        await self._operator.cancel(request.match_info["id"])
        return web.json_response({"cancelled": True})

    async def _upload(self, request: web.Request) -> web.Response:
        """A tuned file; it is held in memory only, and only the newest one."""
        data = await request.read()
        upload_id = uuid.uuid4().hex[:12]
        self._box.uploads.clear()
        self._box.uploads[upload_id] = data
        return web.json_response({"upload": upload_id, "bytes": len(data)}, status=201)

    async def _jobs(self, request: web.Request) -> web.Response:
        jobs = await self._worker.call(lambda: [_told(job) for job in self._box.journal.jobs()])
        return web.json_response(jobs)

    async def _job(self, request: web.Request) -> web.Response:
        job_id = request.match_info["id"]
        return web.json_response(await self._worker.call(lambda: _told(self._box.journal.job(job_id))))

    async def _report(self, request: web.Request) -> web.Response:
        job_id = request.match_info["id"]
        return web.json_response(await self._worker.call(lambda: self._report_of(job_id)))

    def _report_of(self, job_id: str) -> dict[str, Any]:
        known = {definition.id: definition for definition in self._box.library}
        definition = known.get(self._box.journal.job(job_id).definition_id or "")
        return report_of(self._box.journal, job_id, definition)

    async def _export(self, request: web.Request) -> web.Response:
        job_id, wanted = request.match_info["id"], request.query.get("format", "bin")
        if wanted not in set(ExportFormat):
            raise PitboxError(
                "FORMAT_UNKNOWN", f"{wanted} is no export format", do_now="Use bin, ihex or srec."
            )
        data = await self._worker.call(lambda: self._exported(job_id, ExportFormat(wanted)))
        return web.Response(body=data, content_type="application/octet-stream")

    def _exported(self, job_id: str, wanted: ExportFormat) -> bytes:
        original = self._box.journal.job(job_id).original_file
        if original is None:
            raise PitboxError("NO_ORIGINAL", f"job {job_id} has no stored read", do_now="Read the ECU first.")
        return export_image(self._box.images.load(original), self._box.images, self._box.keys, wanted)

    async def _definitions(self, request: web.Request) -> web.Response:
        return web.json_response(
            [
                {"id": one.id, "name": one.name, "kind": one.kind, "evidence": one.evidence.level}
                for one in self._box.library
            ]
        )


@web.middleware
async def errors_to_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every PitboxError becomes its five answers; a body that is too large gets them too."""
    try:
        return await handler(request)
    except PitboxError as error:
        return web.json_response(error.as_dict(), status=_STATUS.get(error.code, 400))
    except web.HTTPRequestEntityTooLarge:
        too_large = PitboxError(
            "FILE_TOO_LARGE",
            f"the file is larger than {MAX_FILE_BYTES >> 20} MiB",
            do_now="No ECU image is that large: choose the right file.",
        )
        return web.json_response(too_large.as_dict(), status=413)


def _told(job: JobRecord) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state.value,
        "definition": job.definition_id,
        "vin": job.identity.vin if job.identity else None,
        "hw": job.identity.hw if job.identity else None,
        "sw": job.identity.sw if job.identity else None,
        "original": job.original_file,
        "created_at": job.created_at,
    }


async def _json_object(request: web.Request) -> dict[str, Any]:
    try:
        value = json.loads(await request.read())
    except ValueError as error:
        raise PitboxError("JSON_INVALID", f"the body is not JSON: {error}", do_now="Send JSON.") from error
    if not isinstance(value, dict):
        raise PitboxError("JSON_INVALID", "the body is not a JSON object", do_now="Send an object.")
    return value


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError as error:
        raise PitboxError("PARAMETERS_INVALID", "wait is not a number", do_now="Give seconds.") from error


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode() + b"\n"
