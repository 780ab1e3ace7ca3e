"""Live events: a snapshot for late comers, then one event per change, a bounded queue per listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from appliance.contract.events import AlarmEvent, Event, GatesEvent, ProgressEvent, StateEvent

_QUEUE = 256

_KEPT = (AlarmEvent, GatesEvent, ProgressEvent, StateEvent)
"""Kinds whose latest event belongs to the snapshot."""


class Hub:
    """Lives on the HTTP loop; the worker publishes through call_soon_threadsafe."""

    def __init__(self) -> None:
        self._latest: dict[str, dict[str, Any]] = {}
        self._listeners: set[asyncio.Queue[dict[str, Any] | None]] = set()

    def publish(self, event: Event) -> None:
        """Hand an event to every listener; one who does not keep up is cut off and may come back."""
        data = event.as_dict()
        if isinstance(event, _KEPT):
            self._latest[str(data["kind"])] = data
        self.tell(data)

    def tell(self, data: dict[str, Any]) -> None:
        """Hand a plain message to every listener."""
        for queue in tuple(self._listeners):
            if queue.qsize() >= _QUEUE:
                self._listeners.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(data)

    def snapshot(self) -> dict[str, Any]:
        """Latest event of each lasting kind."""
        return dict(self._latest)

    def clear(self) -> None:
        """A new operation starts: nothing of the old one is current any more."""
        self._latest.clear()

    async def listen(self) -> AsyncIterator[dict[str, Any]]:
        """Events from now on, until the listener falls behind or goes away."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while (data := await queue.get()) is not None:
                yield data
        finally:
            self._listeners.discard(queue)
