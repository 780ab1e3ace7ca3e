"""Who gets a connection at all: descriptors are for the car and the journal first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from appliance.contract.errors import EngineError
from appliance.contract.roles import PeerRole
from appliance.engine.peers import PeerRoles, peer_of

MOST_CONNECTIONS = 128
"""Of all operators together; one that finds no place is cut off."""
MOST_OF_THE_WEB = 64
"""Of the web's: however many it opens, whoever stands at the box finds a place, and recovers an ECU."""
MOST_STRANGERS = 8
"""Of users who will only be told that they may not drive the engine."""
IDLE_S = 75
"""Real seconds that a connection may stay open without a request."""


class Door:
    """Lets a connection in to the HTTP server, or cuts it off while too many are open."""

    def __init__(self, server: Callable[[], asyncio.Protocol], roles: PeerRoles) -> None:
        self._server = server
        self._roles = roles
        self._inside: dict[asyncio.BaseTransport, PeerRole | None] = {}
        """Open connections, and whose each is; None is a stranger's."""

    def __call__(self) -> asyncio.Protocol:
        """A protocol factory."""
        return _Threshold(self)

    def admit(self, transport: asyncio.Transport) -> None:
        """Hand a new connection to the server where there is room for it."""
        role = _role_of(transport, self._roles)
        for one in [one for one in self._inside if one.is_closing()]:
            del self._inside[one]
        if list(self._inside.values()).count(role) >= _most_of(role):
            transport.abort()
            return
        self._inside[transport] = role
        protocol = self._server()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


def _role_of(transport: asyncio.Transport, roles: PeerRoles) -> PeerRole | None:
    return roles.of(peer_of(transport.get_extra_info("socket")).uid)


def _most_of(role: PeerRole | None) -> int:
    if role is None:
        return MOST_STRANGERS
    return MOST_OF_THE_WEB if role is PeerRole.WEB else MOST_CONNECTIONS


class _Threshold(asyncio.Protocol):
    def __init__(self, door: Door) -> None:
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._door.admit(transport)


def server_of(runner: web.AppRunner, log_path: Path) -> Callable[[], asyncio.Protocol]:
    """The HTTP server of a runner that is set up; what is no HTTP is answered by it with a code, too."""
    server, telling = runner.server, _telling(str(log_path))
    assert server is not None

    def protocol() -> asyncio.Protocol:
        made = server()
        made.__class__ = telling
        return made

    return protocol


def _telling(log_path: str) -> type[web.RequestHandler]:
    class Telling(web.RequestHandler):
        """Answers bytes that never become a request, and so come to no handler of ours.

        Who sends them is not looked at, and not told how any ECU stands.
        """

        __slots__ = ()

        def handle_error(
            self,
            request: web.BaseRequest,
            status: int = 500,
            exc: BaseException | None = None,
            message: str | None = None,
        ) -> web.StreamResponse:
            """Raises ConnectionError where an answer was begun already."""
            plain = super().handle_error(request, status, exc, message)
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return plain
            why = (message or "").partition("\n")[0] or type(exc).__name__
            error = EngineError("NO_HTTP", log=log_path, technical_text=why)
            answer = web.json_response(error.as_dict(), status=status)
            answer.force_close()
            return answer

    return Telling
