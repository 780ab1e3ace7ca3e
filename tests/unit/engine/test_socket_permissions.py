"""However many connections are opened, the engine keeps its descriptors, and strangers keep nobody out."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from appliance.contract.roles import PeerRole
from appliance.engine import socket_permissions
from appliance.engine.peers import PeerRoles
from appliance.engine.socket_permissions import MOST_CONNECTIONS, MOST_OF_THE_WEB, MOST_STRANGERS, Door

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo(asyncio.Protocol):
    """Says one byte as soon as it is let in."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"!")


def at_the_door(scene: Callable[[Callable[[], Awaitable[Streams]]], Awaitable[None]]) -> None:
    async def inside() -> None:
        with tempfile.TemporaryDirectory(prefix="pbx-") as folder:
            path = str(Path(folder) / "s")
            server = await asyncio.get_running_loop().create_unix_server(Door(Echo, PeerRoles()), path)
            try:
                await scene(lambda: asyncio.open_unix_connection(path))
            finally:
                server.close()

    asyncio.run(inside())


async def welcome(streams: Streams) -> bool:
    """Whether the server spoke; a connection that was cut off has nothing to say."""
    try:
        return await streams[0].read(1) == b"!"
    except ConnectionError:
        return False


OPERATOR, WEB = PeerRole.OPERATOR, PeerRole.WEB


@pytest.mark.parametrize(
    ("role", "most"), [(OPERATOR, MOST_CONNECTIONS), (WEB, MOST_OF_THE_WEB), (None, MOST_STRANGERS)]
)
def test_connections_beyond_the_bound_are_cut_off_and_make_room_when_they_end(
    role: PeerRole | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_permissions, "_role_of", lambda transport, roles: role)

    async def scene(connect: Callable[[], Awaitable[Streams]]) -> None:
        inside = [await connect() for _ in range(most)]
        assert all([await welcome(one) for one in inside])
        assert not await welcome(await connect())
        inside[0][1].close()
        await inside[0][1].wait_closed()
        assert await welcome(await connect())

    at_the_door(scene)


def test_strangers_take_no_place_of_those_who_may(monkeypatch: pytest.MonkeyPatch) -> None:
    friends = iter([None] * (MOST_STRANGERS + 1) + [OPERATOR])
    monkeypatch.setattr(socket_permissions, "_role_of", lambda transport, roles: next(friends))
    monkeypatch.setattr(socket_permissions, "MOST_CONNECTIONS", 1)

    async def scene(connect: Callable[[], Awaitable[Streams]]) -> None:
        inside = [await connect() for _ in range(MOST_STRANGERS + 2)]
        assert [await welcome(one) for one in inside] == [True] * MOST_STRANGERS + [False, True]

    at_the_door(scene)


def test_the_web_takes_no_place_of_whoever_stands_at_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = iter([WEB] * (MOST_OF_THE_WEB + 1) + [OPERATOR])
    monkeypatch.setattr(socket_permissions, "_role_of", lambda transport, known: next(roles))
    monkeypatch.setattr(socket_permissions, "MOST_CONNECTIONS", 1)

    async def scene(connect: Callable[[], Awaitable[Streams]]) -> None:
        inside = [await connect() for _ in range(MOST_OF_THE_WEB + 2)]
        assert [await welcome(one) for one in inside] == [True] * MOST_OF_THE_WEB + [False, True]

    at_the_door(scene)
