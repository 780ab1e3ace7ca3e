"""Requests about what the box keeps: jobs and their reports, sealed originals, definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from appliance.contract.errors import EcuSafety, EngineError, PitboxError
from appliance.contract.report import Report
from appliance.contract.roles import EVERYBODY, OPERATOR_ONLY
from appliance.contract.told import DefinitionTold, JobTold, OriginalTold, RegionTold
from appliance.definitions.evidence import badge
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.earlier_original import earlier_of
from appliance.engine.http_middleware import id_of
from appliance.engine.operation_runner import Operator
from appliance.engine.originals import known_originals
from appliance.engine.report import report_of
from appliance.engine.routes import Query, Route
from appliance.engine.worker import Worker
from appliance.flashing.journal import JobRecord
from appliance.flashing.safety import standing, state_of
from appliance.vault.export import ExportFormat, export_image

_FORMAT = (
    Query("format", {"type": "string", "enum": [*ExportFormat]}),
    Query("memory", {"type": "string"}),
)


class StoredApi:
    """Handlers; nothing that they do changes anything."""

    def __init__(self, box: EngineContext, worker: Worker, operator: Operator) -> None:
        self._box = box
        self._worker = worker
        self._operator = operator

    def routes(self) -> tuple[Route, ...]:
        """Jobs and originals for everybody; an original in the clear leaves for the operator alone."""
        get, all_may, job = "GET", EVERYBODY, "/v1/jobs/{id}"
        return (
            Route(get, "/v1/jobs", self._jobs, all_may, "The jobs of this box", list[JobTold]),
            Route(get, job, self._job, all_may, "One job", JobTold),
            Route(get, f"{job}/report", self._report, all_may, "A job's whole story", Report),
            Route(
                get,
                f"{job}/export",
                self._export,
                OPERATOR_ONLY,
                "A job's original in the clear, from a master-role box",
                bytes,
                query=_FORMAT,
                plaintext=True,
            ),
            Route(get, "/v1/originals", self._originals, all_may, "Sealed originals", list[OriginalTold]),
            Route(
                get, "/v1/definitions", self._definitions, all_may, "ECU definitions", list[DefinitionTold]
            ),
        )

    async def _jobs(self, request: web.Request) -> web.Response:
        return await self._from_worker(lambda: [job_told(self._box, job) for job in self._box.journal.jobs()])

    async def _job(self, request: web.Request) -> web.Response:
        job_id = id_of(request, "JOB_UNKNOWN.no_id")
        return await self._from_worker(lambda: job_told(self._box, self._box.journal.job(job_id)))

    async def _report(self, request: web.Request) -> web.Response:
        job_id = id_of(request, "JOB_UNKNOWN.no_id")
        return await self._from_worker(lambda: self._report_of(job_id))

    def _report_of(self, job_id: str) -> Report:
        known = {definition.id: definition for definition in self._box.library}
        definition = known.get(self._box.journal.job(job_id).definition_id or "")
        found = report_of(self._box.journal, job_id, definition)
        found["original_before"] = earlier_of(self._box, self._box.journal.job(job_id).original_file)
        return found

    async def _export(self, request: web.Request) -> web.Response:
        job_id, wanted = id_of(request, "JOB_UNKNOWN.no_id"), request.query.get("format", "bin")
        if wanted not in set(ExportFormat):
            raise EngineError("FORMAT_UNKNOWN", wanted=wanted)
        self._operator.refuse_busy()
        memory = request.query.get("memory")
        data = await self._worker.call(lambda: self._exported(job_id, ExportFormat(wanted), memory))
        return web.Response(body=data, content_type="application/octet-stream")

    def _exported(self, job_id: str, wanted: ExportFormat, memory: str | None) -> bytes:
        original = self._box.journal.job(job_id).original_file
        if original is None:
            raise EngineError("NO_ORIGINAL", job=job_id)
        return export_image(self._box.images.load(original), self._box.images, self._box.keys, wanted, memory)

    async def _originals(self, request: web.Request) -> web.Response:
        """Sealed originals, with or without a job: what `recover` can use when the journal is lost."""
        self._operator.refuse_busy()
        return await self._from_worker(lambda: known_originals(self._box))

    async def _definitions(self, request: web.Request) -> web.Response:
        """Every definition; a file that was refused is listed with the error instead of its evidence."""
        usable = [_usable(one) for one in self._box.library]
        stands = await self._worker.call(lambda: standing(self._box.journal).ecu)
        refused = [_refused(one, stands) for one in self._box.library.refused]
        return web.json_response([*usable, *refused])

    async def _from_worker(self, ask: Callable[[], Any]) -> web.Response:
        return web.json_response(await self._worker.call(ask))


def job_told(box: EngineContext, job: JobRecord) -> JobTold:
    """A job as clients know it."""
    return JobTold(
        id=job.id,
        state=state_of(job, box.writing).value,
        definition=job.definition_id,
        vin=job.identity.vin if job.identity else None,
        hw=job.identity.hw if job.identity else None,
        sw=job.identity.sw if job.identity else None,
        original=job.original_file,
        created_at=job.created_at,
    )


def _refused(error: PitboxError, stands: EcuSafety) -> DefinitionTold:
    told = error.as_dict()
    told["ecu"] = stands
    return DefinitionTold(id="", name=error.what, kind="refused", evidence="none", refused=told, regions=[])


def _usable(definition: Definition) -> DefinitionTold:
    """A definition as far as a client needs it: its regions with their erase sectors."""
    return DefinitionTold(
        id=definition.id,
        name=definition.name,
        kind=definition.kind,
        evidence=badge(definition),
        refused=None,
        regions=[
            RegionTold(
                name=region.name,
                tag=region.tag,
                place=region.place.as_dict(),
                writable=region.writable,
                sectors=[sector.as_dict() for sector in region.sector_ranges()],
            )
            for region in definition.regions
        ],
    )
