"""What stands between a request and its handler: who may ask, how much, and how errors are told."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from appliance.contract.actors import Actor
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.roles import PeerRole
from appliance.engine.context import EngineContext
from appliance.engine.operation_runner import as_ours, told
from appliance.engine.peers import Peer, may_drive, peer_of
from appliance.engine.routes import Handler, permitted
from appliance.engine.worker import Worker
from appliance.flashing.safety import tell_safety

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_JSON_BYTES = 1024 * 1024
STALLED_S = 10.0
"""Real seconds that a client may pause inside a body."""
WINDOW_S = 60.0
SLOWEST_BYTES_PER_S = 16 * 1024
"""In each window of a body: a fast beginning buys nobody a slow end, for nobody else could hand in a file."""
_LEAST_BYTES = int((WINDOW_S - STALLED_S) * SLOWEST_BYTES_PER_S)
"""In each window: one of them may hold a pause."""
LONGEST_S = 600.0
"""For a whole body: 64 MiB at 0.9 Mbit/s, or 9 MiB at the slowest rate."""
_STRANGER = "PEER_REFUSED"
_STATUS = {
    "ENGINE_BUSY": 409,
    "TOO_LATE_TO_CANCEL": 409,
    "JOB_UNKNOWN": 404,
    "OPERATION_UNKNOWN": 404,
    "QUESTION_UNKNOWN": 404,
    "QUESTION_CLOSED": 409,
    "ANSWER_AT_THE_BOX": 403,
    _STRANGER: 403,
    "ROLE_REFUSED": 403,
    "PLAINTEXT_REFUSED": 403,
    "SECRET_UNKNOWN": 404,
    "SECRET_NEEDED": 409,
    "FILE_TOO_LARGE": 413,
    "INTERNAL": 500,
    "STORAGE_FAILED": 507,
    "VAULT_DISK_FULL": 507,
    "PROPOSAL_UNKNOWN": 404,
    "PROPOSAL_CLOSED": 409,
    "PROPOSAL_READY": 409,
    "PROPOSAL_NOT_READY": 409,
    "PROPOSAL_DAMAGED": 409,
    "PROPOSALS_FULL": 409,
    "CONSENT_TO_ANOTHER": 409,
    "CONSENT_REFUSED": 403,
    "WITHDRAWAL_REFUSED": 403,
    "UPLOAD_BUSY": 409,
    "UPLOAD_STALLED": 408,
    "ENCODING_REFUSED": 415,
    "JOURNAL_DAMAGED": 500,
    "ENGINE_STOPPING": 503,
}
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)


def errors_as_json(box: EngineContext, worker: Worker) -> Middleware:
    """Every error of a handler becomes its five answers as JSON, those of aiohttp included.

    Whether the ECU is safe is asked of the journal here; a user who may not drive the box is not told.
    """

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionError:  # the client has gone: there is nobody to tell
            raise
        except web.HTTPException as error:
            return await answer(request, _of_http(error), error.status)
        except Exception as error:  # noqa: BLE001 - told and logged, never hidden
            return await answer(request, as_ours(error))

    async def answer(request: web.Request, error: PitboxError, status: int | None = None) -> web.Response:
        if error.code != _STRANGER:
            job_id = request.match_info.get("id") if "/jobs/" in request.path else None
            await worker.call(lambda: tell_safety(error, box.journal, job_id, writing=box.writing))
        return web.json_response(told(error, box), status=status or _STATUS.get(error.code, 400))

    return guard


def only_known_users(box: EngineContext) -> Middleware:
    """Root, the engine's own user and those named at the start may ask (SO_PEERCRED)."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = _peer_of_request(request)
        if peer is None or not may_drive(peer, box.settings.peer_roles):
            raise EngineError("PEER_REFUSED")
        return await handler(request)

    return guard


def only_permitted(box: EngineContext) -> Middleware:
    """A known user may ask for what the route states for its role, and for nothing where it states none."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        may = permitted(request)
        if request.match_info.http_exception is None and role_of_request(request, box) not in may:
            if not may:
                raise EngineError("ROLE_REFUSED.nobody")
            raise EngineError("ROLE_REFUSED", roles=tuple(sorted(may)))
        return await handler(request)

    return guard


def role_of_request(request: web.Request, box: EngineContext) -> PeerRole | None:
    """In which role somebody asks; None for strangers, and once the client has gone."""
    peer = _peer_of_request(request)
    return None if peer is None else box.settings.peer_roles.of(peer.uid)


def actor_of(request: web.Request, box: EngineContext) -> Actor:
    """Who asks, for the journal."""
    peer, role = _peer_of_request(request), role_of_request(request, box)
    return Actor("nobody" if role is None else role.value, None if peer is None else peer.uid)


def _peer_of_request(request: web.Request) -> Peer | None:
    """None once the client has gone."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    return None if connection is None else peer_of(connection)


def user_of(request: web.Request) -> str:
    """Who asks, as far as the kernel knows."""
    peer = _peer_of_request(request)
    return "a client that has gone" if peer is None else f"user {peer.uid}"


async def body_of(request: web.Request, most_bytes: int) -> bytes:
    """The whole body. Raises PitboxError FILE_TOO_LARGE before more than `most_bytes` are in memory.

    A client that stops sending, or sends too slowly, is not waited for: what it sent would stay in memory,
    and nobody else could hand in a file. Raises UPLOAD_STALLED.
    What is packed is not unpacked, for a few bytes could be many: ENCODING_REFUSED. BODY_BROKEN.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise EngineError("ENCODING_REFUSED")
    if (request.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    parts, size, patience = [], 0, _Patience()
    while part := await _next_part(request, patience):
        size += len(part)
        if size > most_bytes:
            raise _too_large(most_bytes)
        parts.append(part)
        patience.came(len(part))
    return b"".join(parts)


class _Patience:
    """How long a body is waited for; on the loop's clock."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._window_began = self._clock()
        self._in_window = 0
        self._latest = self._window_began + LONGEST_S

    def came(self, size: int) -> None:
        """Bytes came; what is more than enough for one window counts for no other."""
        self._in_window += size
        if self._in_window >= _LEAST_BYTES:
            self._window_began, self._in_window = self._clock(), 0

    def ends(self) -> tuple[float, EngineError]:
        """When the next part must have come, and what else is to be told."""
        slow = EngineError("UPLOAD_STALLED.slow", least_kib=_LEAST_BYTES >> 10, window_s=WINDOW_S)
        return min(
            (self._clock() + STALLED_S, EngineError("UPLOAD_STALLED", seconds=STALLED_S)),
            (self._window_began + WINDOW_S, slow),
            (self._latest, EngineError("UPLOAD_STALLED.long", longest_s=LONGEST_S)),
            key=lambda end: end[0],
        )


async def _next_part(request: web.Request, patience: _Patience) -> bytes:
    """More of a body, empty at its end. Raises PitboxError UPLOAD_STALLED, BODY_BROKEN."""
    latest, late = patience.ends()
    try:
        async with asyncio.timeout_at(latest):
            return await request.content.readany()
    except TimeoutError as error:
        raise late from error
    except web.RequestPayloadError as error:
        raise EngineError("BODY_BROKEN") from error


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object. Raises PitboxError."""
    try:
        value = json.loads(await body_of(request, MAX_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise EngineError("JSON_INVALID.not_json", technical_text=str(error)) from error
    if not isinstance(value, dict):
        raise EngineError("JSON_INVALID")
    return value


def id_of(request: web.Request, unknown: str) -> str:
    """The id in the path; one that cannot be ours is answered with the key `unknown`."""
    text = request.match_info["id"]
    if not _ID.fullmatch(text):
        raise EngineError(unknown, given=text[:64])
    return text


def seconds_of(text: str | None) -> float:
    """A duration in a query. Raises PitboxError."""
    try:
        return max(0.0, float(text or 0))
    except ValueError as error:
        raise EngineError("PARAMETERS_INVALID.wait") from error


class _HttpError(EngineError):
    """What the web framework itself refuses: the code tells the status."""

    def __init__(self, error: web.HTTPException) -> None:
        super().__init__("HTTP", technical_text=error.reason)
        self.code = f"HTTP_{error.status}"


def _of_http(error: web.HTTPException) -> PitboxError:
    return _HttpError(error)


def _too_large(most_bytes: int) -> PitboxError:
    return EngineError("FILE_TOO_LARGE", most_mib=most_bytes >> 20)
