"""What a request on a simulated K-line is answered by."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """No payload: nothing is said. `then` runs once the answer is out."""

    payload: bytes | None
    then: Callable[[], None] | None = None
    pending_s: float = 0.0
    """More than 0: 78 is sent at once, and the answer so much later."""
    more: tuple[bytes, ...] = ()
    """Further answers, each P2 behind the one before."""
    work: Callable[[], Coroutine[Any, Any, bytes]] | None = None
    """What takes time; gives the payload of the answer."""
    pendings: int = 0
    """So often 78 is sent first."""
