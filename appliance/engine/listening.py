"""The one socket the engine listens on: a UNIX socket, never the network."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from appliance.contract.errors import EngineError

BACKLOG = 64
SOCKET_MODE = 0o660
SOCKET_MODE_FOR_OTHERS = 0o666
"""A named user could not connect otherwise; everybody else is refused by SO_PEERCRED."""
_FOLDER_MODE = 0o755
"""The socket's own mode says who may connect; its folder must let them through."""


def refuse_second_engine(path: Path) -> None:
    """Raises PitboxError ENGINE_RUNS_ALREADY when somebody listens there; a dead socket is fine."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise EngineError("ENGINE_RUNS_ALREADY", path=str(path))


def listening_socket(path: Path, *, for_others: bool = False) -> socket.socket:
    """A UNIX socket for this user and group; one left by a killed engine is replaced, a live one is not.

    `for_others`: users outside the group were named too; who may go on is what the kernel says of the peer.

    It appears under its name only once it takes connections. Raises PitboxError.
    """
    refuse_second_engine(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _publish(listening, path, SOCKET_MODE_FOR_OTHERS if for_others else SOCKET_MODE)
    except OSError as error:
        listening.close()
        raise EngineError(
            "SOCKET_UNUSABLE", path=str(path), technical_text=error.strerror or str(error)
        ) from error
    return listening


def withdraw(path: Path) -> None:
    """No new clients: the name is gone."""
    path.unlink(missing_ok=True)


def _publish(listening: socket.socket, path: Path, mode: int) -> None:
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        path.parent.chmod(_FOLDER_MODE)
    if path.exists() and not path.is_socket():
        raise FileExistsError(f"{path.name} is there and is no socket")
    building = path.with_name(f"{path.name}.{os.getpid()}")
    building.unlink(missing_ok=True)
    listening.bind(str(building))
    building.chmod(mode)
    listening.listen(BACKLOG)
    building.replace(path)
