"""Tester present in a steady beat, so that the server's S3 timer never runs out (ISO 14229-2, 7.5).

It does not wait for a pause between requests: there are servers whose S3 only 0x10 and 0x3E start again, and
a long read or write leaves no pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from appliance.protocols.access import AccessError

_SHORTEST_PAUSE_S = 0.001
"""Below what a clock of large numbers resolves, a pause would not move it at all."""


class KeepAlive:
    """Calls `send` every so many seconds.

    A failed send is left to the next request, which reports it with its own deadline.
    """

    def __init__(self, send: Callable[[], Awaitable[None]]) -> None:
        self._send = send
        self._task: asyncio.Task[None] | None = None
        self.suspended = False
        """While it is, nothing is sent; the beat goes on behind it."""

    def start(self, every_s: float) -> None:
        """Begin, or go on at another pace; the session was entered just now."""
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.get_running_loop().create_task(self._run(every_s))

    async def stop(self) -> None:
        """End, and wait until nothing more is sent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _run(self, every_s: float) -> None:
        """A send that had to wait for its turn does not make the next one late; a beat missed is left out."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            due_s += every_s
            if due_s <= loop.time():
                due_s = loop.time() + every_s
            await asyncio.sleep(max(due_s - loop.time(), _SHORTEST_PAUSE_S))
            if not self.suspended:
                with suppress(AccessError):
                    await self._send()
