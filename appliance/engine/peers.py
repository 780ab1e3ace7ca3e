"""Who is on the other end of the engine's socket (SO_PEERCRED, unix(7))."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """Credentials of a client as the kernel knows them."""

    pid: int
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """Credentials of the process that connected."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Peer(*_CREDENTIALS.unpack(raw))


def may_drive(peer: Peer, allowed_uids: frozenset[int]) -> bool:
    """Root, the engine's own user, and the users named at start."""
    return peer.uid in {0, os.getuid()} | allowed_uids
