"""Live events: a snapshot for late comers, then one event per change, a bounded queue per listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from appliance.contract.events import AlarmEvent, Event, GatesEvent, ProgressEvent, StateEvent

QUEUE_EVENTS = 256
HEARTBEAT_S = 5.0
"""Silence, in real seconds, after which a listener is told that the engine lives: an erase can be long."""

_KEPT = (AlarmEvent, GatesEvent, ProgressEvent, StateEvent)
"""Kinds whose latest event belongs to the snapshot."""


class Listener:
    """Hears every event from the moment it was made until it is closed, or cut off for falling behind."""

    def __init__(self, hub: Hub, on_cut: Callable[[], None]) -> None:
        self._hub = hub
        self._on_cut = on_cut
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._silent_s = 0.0

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        while (data := await self._next()) is not None:
            yield data

    async def _next(self) -> dict[str, Any] | None:
        """What is told next, or a heartbeat where nothing was told for a while."""
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                data = await self._queue.get()
        except TimeoutError:
            self._silent_s += HEARTBEAT_S
            return {"kind": "heartbeat", "silent_s": self._silent_s}
        self._silent_s = 0.0
        return data

    def hear(self, data: dict[str, Any]) -> None:
        """Queue an event; a listener with a full queue is cut off and may come back."""
        if self._queue.qsize() < QUEUE_EVENTS:
            self._queue.put_nowait(data)
            return
        self.close()
        self._on_cut()

    def close(self) -> None:
        """Hear nothing more; what is queued is still delivered."""
        self._hub.forget(self)
        self._queue.put_nowait(None)


class Hub:
    """Lives on the HTTP loop; the worker publishes through call_soon_threadsafe."""

    def __init__(self) -> None:
        self._latest: dict[str, dict[str, Any]] = {}
        self._listeners: set[Listener] = set()

    def publish(self, event: Event) -> None:
        """Hand an event to every listener."""
        data = event.as_dict()
        if isinstance(event, _KEPT):
            self._latest[str(data["kind"])] = data
        self.tell(data)

    def tell(self, data: dict[str, Any]) -> None:
        """Hand a plain message to every listener."""
        for listener in tuple(self._listeners):
            listener.hear(data)

    def snapshot(self) -> dict[str, Any]:
        """Latest event of each lasting kind."""
        return dict(self._latest)

    def clear(self) -> None:
        """A new operation starts: nothing of the old one is current any more."""
        self._latest.clear()

    def listen(self, on_cut: Callable[[], None] = lambda: None) -> Listener:
        """A listener that hears from now on; `on_cut` is called should it not keep up."""
        listener = Listener(self, on_cut)
        self._listeners.add(listener)
        return listener

    def forget(self, listener: Listener) -> None:
        """The listener is gone."""
        self._listeners.discard(listener)

    def close(self) -> None:
        """End every listener's stream."""
        for listener in tuple(self._listeners):
            listener.close()
