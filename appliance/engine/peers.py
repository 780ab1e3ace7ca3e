"""Who is on the other end of the engine's socket (SO_PEERCRED, unix(7)), and in which role."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass, field

from appliance.contract.roles import PeerRole

_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """Credentials of a client as the kernel knows them."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class PeerRoles:
    """Which users have which role: root and the engine's own user are operators unless named otherwise."""

    operators: frozenset[int] = field(default_factory=frozenset)
    web: frozenset[int] = field(default_factory=frozenset)

    @property
    def named(self) -> bool:
        """Whether users beside root and the engine's own were named."""
        return bool(self.operators or self.web)

    def of(self, uid: int) -> PeerRole | None:
        """None for a stranger. Of two roles the one that may do less counts."""
        if uid in self.web:
            return PeerRole.WEB
        return PeerRole.OPERATOR if uid in {0, os.getuid()} | self.operators else None


def peer_of(connection: socket.socket) -> Peer:
    """Credentials of the process that connected."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Peer(*_CREDENTIALS.unpack(raw))


def may_drive(peer: Peer, roles: PeerRoles) -> bool:
    """Whether the user has a role at all."""
    return roles.of(peer.uid) is not None
