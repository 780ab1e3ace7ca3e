"""What the engine's socket offers: each request with the roles that may make it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from appliance.contract.roles import PeerRole

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter behind the question mark, never required."""

    name: str
    schema: Mapping[str, object]
    """As JSON Schema."""


@dataclass(frozen=True, slots=True)
class Route:
    """One request: nobody may make it but the roles it states."""

    method: str
    path: str
    handle: Handler
    roles: frozenset[PeerRole]
    summary: str
    answer: Any
    """The type of the answer; bytes for a file."""
    body: Any = None
    """The type of what is sent; bytes for a file, None for nothing."""
    status: int = 200
    """Of an answer that is no error."""
    query: tuple[Query, ...] = ()
    streams: bool = False
    """Whether the answer may also be lines of JSON without an end."""
    plaintext: bool = False
    """Whether an answer may hold a file in the clear."""

    def __post_init__(self) -> None:
        """Raises ValueError for a route without a permission, and for plaintext to the web."""
        if not self.roles:
            raise ValueError(f"{self.method} {self.path} states no role that may use it")
        if self.plaintext and PeerRole.WEB in self.roles:
            raise ValueError(f"{self.method} {self.path} would hand a file in the clear to the web")


_PERMISSIONS: web.AppKey[dict[tuple[str, str], frozenset[PeerRole]]] = web.AppKey("permissions", dict)


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Offer these requests; an application with any other does not start."""
    permissions = app[_PERMISSIONS] = {}
    for route in routes:
        app.router.add_route(route.method, route.path, route.handle)
        permissions[route.method, route.path] = route.roles
    app.on_startup.append(_refuse_unstated)


def permitted(request: web.Request) -> frozenset[PeerRole]:
    """Roles that may make a request; none for what was never stated."""
    resource = request.match_info.route.resource
    if resource is None:
        return frozenset()
    return request.app[_PERMISSIONS].get((request.method, resource.canonical), frozenset())


async def _refuse_unstated(app: web.Application) -> None:
    """Raises RuntimeError for a route that came past the table."""
    for route in app.router.routes():
        place = (route.method, route.resource.canonical if route.resource else "")
        if place not in app[_PERMISSIONS]:
            raise RuntimeError(f"{' '.join(place)} states no role that may use it")
