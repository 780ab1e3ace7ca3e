"""Live events: every listener reads the journal by number, the newest part of it from memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

from appliance.contract.events import (
    AlarmEvent,
    GatesEvent,
    ProgressEvent,
    Recorded,
    StateEvent,
)
from appliance.contract.events_told import AnyEvent

RECENT_EVENTS = 1024
PAGE_EVENTS = 256
HEARTBEAT_S = 5.0
"""Silence, in real seconds, after which a listener is told that the engine lives: an erase can be long."""

_LASTING = (AlarmEvent, GatesEvent, ProgressEvent, StateEvent)
"""Kinds whose latest event belongs to the snapshot."""

Line = dict[str, Any]
Page = Callable[[int, int, int], Awaitable[list[Line]]]
"""Events behind a number up to another, at most so many, as the journal has written them."""


class Listener:
    """Is told every event behind a number, in order, however slowly it takes them."""

    def __init__(self, hub: Hub, after: int) -> None:
        self._hub = hub
        self._after = after
        self._live = after >= hub.oldest

    async def __aiter__(self) -> AsyncIterator[Line]:
        silent_s = 0.0
        while True:
            news = self._hub.news
            if self._fell_behind():
                yield {"kind": "behind", "after": self._after, "head": self._hub.head}
            lines, self._after = await self._hub.read(self._after)
            for line in lines:
                yield line
            if lines:
                silent_s = 0.0
                continue
            if self._after < self._hub.oldest:
                continue
            if self._hub.closed:
                return
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await news.wait()
            except TimeoutError:
                silent_s += HEARTBEAT_S
                yield {"kind": "heartbeat", "silent_s": silent_s}

    def _fell_behind(self) -> bool:
        """Once each time that what it takes next is not in memory any more."""
        was_live, self._live = self._live, self._after >= self._hub.oldest
        return was_live and not self._live


class Hub:
    """Lives on the HTTP loop; the worker publishes through call_soon_threadsafe."""

    def __init__(self) -> None:
        self._recent: deque[Line] = deque(maxlen=RECENT_EVENTS)
        self._latest: dict[str, Line] = {}
        self._page: Page | None = None
        self.news = asyncio.Event()
        """Set, and another one put in its place, with the next event."""
        self.head = 0
        """Number of the last event told."""
        self.oldest = 0
        """Every event told behind this number is in memory."""
        self.closed = False

    def begin(self, head: int, page: Page) -> None:
        """The journal is open: `head` is the last number it has given away."""
        self._page = page
        if not self._recent:
            self.oldest = head
        self.head = max(self.head, head)

    def publish(self, recorded: Recorded) -> None:
        """Have every listener take one more event."""
        line, event = recorded.as_dict(), recorded.event
        if isinstance(event, _LASTING):
            self._latest[str(line["kind"])] = line
        if not self._recent:
            self.oldest = recorded.seq - 1
        elif len(self._recent) == RECENT_EVENTS:
            self.oldest = int(self._recent[0]["seq"])
        self._recent.append(line)
        self.head = recorded.seq
        self._wake()

    def forget_latest(self) -> None:
        """Another operation has the ECU: nothing of the one before is current any more."""
        self._latest.clear()

    def snapshot(self) -> dict[str, AnyEvent]:
        """Latest event of each lasting kind."""
        return cast(dict[str, AnyEvent], dict(self._latest))

    def listen(self, after: int | None = None) -> Listener:
        """A listener to all behind a number; without one, to all from now on."""
        return Listener(self, self.head if after is None else self.known(after))

    def known(self, after: int) -> int:
        """The number, or 0 for one that this journal never gave away: its owner knows another journal's."""
        return after if after <= self.head else 0

    async def read(self, after: int) -> tuple[list[Line], int]:
        """Some of the events behind a number, and the number behind which to go on."""
        if after >= self.oldest or self._page is None:
            lines = self._newer(after)
            return lines, int(lines[-1]["seq"]) if lines else after
        until = self.oldest
        lines = await self._page(after, until, PAGE_EVENTS)
        return lines, int(lines[-1]["seq"]) if lines else until

    def close(self) -> None:
        """End every listener's stream once it has taken what there is."""
        self.closed = True
        self._wake()

    def _newer(self, after: int) -> list[Line]:
        found: list[Line] = []
        for line in reversed(self._recent):
            if line["seq"] <= after:
                break
            found.append(line)
        return found[::-1]

    def _wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()
