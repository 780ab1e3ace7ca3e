"""Tester present between requests, so that the server's S3 timer never runs out (ISO 14229-2, 7.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from appliance.protocols.access import AccessError

_SHORTEST_PAUSE_S = 0.001
"""Below what a clock of large numbers resolves, a pause would not move it at all."""


class KeepAlive:
    """Calls `send` whenever `last_active_s()` is `every_s` in the past.

    A failed send is left to the next request, which reports it with its own deadline.
    """

    def __init__(self, send: Callable[[], Awaitable[None]], last_active_s: Callable[[], float]) -> None:
        self._send = send
        self._last_active_s = last_active_s
        self._task: asyncio.Task[None] | None = None

    def start(self, every_s: float) -> None:
        """Begin, or go on at another pace."""
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
        loop = asyncio.get_running_loop()
        due_s = loop.time() + every_s
        while True:
            await asyncio.sleep(max(due_s - loop.time(), _SHORTEST_PAUSE_S))
            due_s = self._last_active_s() + every_s
            if loop.time() >= due_s:
                with suppress(AccessError):
                    await self._send()
                due_s = loop.time() + every_s
