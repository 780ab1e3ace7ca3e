"""Requests about the owner's secrets: they come in, and no answer ever holds one."""

from __future__ import annotations

from aiohttp import web

from appliance.contract.errors import EngineError
from appliance.contract.roles import OPERATOR_ONLY
from appliance.contract.told import SecretTold
from appliance.engine.context import EngineContext
from appliance.engine.http_middleware import body_of, id_of
from appliance.engine.operation_runner import Operator
from appliance.engine.owner_secrets import list_secrets, put_secret, remove_secret
from appliance.engine.routes import Query, Route
from appliance.engine.worker import Worker
from appliance.vault.owner_secrets import MOST_BYTES

_OF = (Query("definition", {"type": "string"}),)
_REPLACE = Query("replace", {"type": "string", "enum": ["true", "false"]})
_ONE = "/v1/secrets/{id}"


class SecretsApi:
    """Handlers; `id` is a secret's name, `definition` whose it is where several have one of that name."""

    def __init__(self, box: EngineContext, worker: Worker, operator: Operator) -> None:
        self._box = box
        self._worker = worker
        self._operator = operator

    def routes(self) -> tuple[Route, ...]:
        """For the operator alone: the web neither lists, puts nor removes a secret."""
        return (
            Route(
                "GET",
                "/v1/secrets",
                self._list,
                OPERATOR_ONLY,
                "The owner's secrets by name",
                list[SecretTold],
            ),
            Route(
                "POST",
                _ONE,
                self._put,
                OPERATOR_ONLY,
                "Seal a secret of this name",
                SecretTold,
                body=bytes,
                status=201,
                query=(*_OF, _REPLACE),
            ),
            Route("DELETE", _ONE, self._remove, OPERATOR_ONLY, "Wipe it", SecretTold, query=_OF),
        )

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(await self._worker.call(lambda: list_secrets(self._box)))

    async def _put(self, request: web.Request) -> web.Response:
        name, of = id_of(request, "SECRET_UNKNOWN.no_id"), request.query.get("definition")
        replace = _replaces(request.query.get("replace", "false"))
        self._operator.refuse_busy()
        value = await body_of(request, MOST_BYTES)
        self._operator.refuse_busy()
        told = await self._worker.call(lambda: put_secret(self._box, name, of, value, replace=replace))
        return web.json_response(told, status=201)

    async def _remove(self, request: web.Request) -> web.Response:
        name, of = id_of(request, "SECRET_UNKNOWN.no_id"), request.query.get("definition")
        self._operator.refuse_busy()
        return web.json_response(await self._worker.call(lambda: remove_secret(self._box, name, of)))


def _replaces(told: str) -> bool:
    """Whether a person wants it to take another one's place. Raises PitboxError."""
    if told not in ("true", "false"):
        raise EngineError("PARAMETERS_INVALID")
    return told == "true"
