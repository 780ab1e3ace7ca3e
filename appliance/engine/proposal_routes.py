"""Requests about proposals: who may propose a write, consent to it, withdraw it and start it."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from appliance.contract.errors import EngineError
from appliance.contract.proposals import Consent, Propose, Withdraw
from appliance.contract.proposals_told import ProposalTold
from appliance.contract.roles import EVERYBODY, OPERATOR_ONLY
from appliance.engine.context import EngineContext
from appliance.engine.http_middleware import actor_of, id_of, json_object
from appliance.engine.misfits import misfits
from appliance.engine.operation_runner import Operator
from appliance.engine.proposing import ProposalDesk
from appliance.engine.routes import Route
from appliance.engine.worker import Worker

Sent = TypeVar("Sent", bound=BaseModel)


class ProposalRoutes:
    """Handlers; one instance per engine. Which consent a user may give is the journal's to judge."""

    def __init__(self, box: EngineContext, worker: Worker, operator: Operator) -> None:
        self._box = box
        self._desk = ProposalDesk(box, worker, operator)

    def routes(self) -> tuple[Route, ...]:
        """Every request with the roles that may make it."""
        get, post, one = "GET", "POST", "/v1/proposals/{id}"
        return (
            Route(get, "/v1/proposals", self._all, EVERYBODY, "What was proposed", list[ProposalTold]),
            Route(get, one, self._one, EVERYBODY, "One proposal", ProposalTold),
            Route(
                post,
                "/v1/proposals",
                self._propose,
                EVERYBODY,
                "Propose a write that others must consent to",
                ProposalTold,
                body=Propose,
                status=201,
            ),
            Route(
                post,
                f"{one}/consents",
                self._consent,
                EVERYBODY,
                "Consent; the last consent starts it",
                ProposalTold,
                body=Consent,
            ),
            Route(
                post,
                f"{one}/withdraw",
                self._withdraw,
                EVERYBODY,
                "Withdraw a proposal, or a consent",
                ProposalTold,
                body=Withdraw,
            ),
            Route(
                post,
                f"{one}/start",
                self._start,
                OPERATOR_ONLY,
                "Start one that has every consent",
                ProposalTold,
            ),
        )

    async def _all(self, request: web.Request) -> web.Response:
        return web.json_response(await self._desk.all())

    async def _one(self, request: web.Request) -> web.Response:
        return web.json_response(await self._desk.told(_id(request)))

    async def _propose(self, request: web.Request) -> web.Response:
        asked = _checked(Propose, await json_object(request))
        told = await self._desk.propose(asked, actor_of(request, self._box))
        return web.json_response(told, status=201)

    async def _consent(self, request: web.Request) -> web.Response:
        given = _checked(Consent, await json_object(request))
        return web.json_response(await self._desk.consent(_id(request), given, actor_of(request, self._box)))

    async def _withdraw(self, request: web.Request) -> web.Response:
        word = _checked(Withdraw, await json_object(request))
        return web.json_response(
            await self._desk.withdraw(_id(request), word.by, actor_of(request, self._box))
        )

    async def _start(self, request: web.Request) -> web.Response:
        return web.json_response(await self._desk.start(_id(request), actor_of(request, self._box)))


def _id(request: web.Request) -> str:
    return id_of(request, "PROPOSAL_UNKNOWN.no_id")


def _checked(kind: type[Sent], sent: dict[str, object]) -> Sent:
    """Raises PitboxError PARAMETERS_INVALID."""
    try:
        return kind.model_validate(sent)
    except ValidationError as error:
        raise EngineError(
            "PARAMETERS_INVALID.body", kind=kind.__name__.lower(), points=misfits(error)
        ) from error
