"""The thread that works on the ECU: its own event loop, on real or simulated time, apart from HTTP."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

PassTime = Callable[[asyncio.AbstractEventLoop, bool], None]
"""Lets simulated time pass while there is work; real time needs nothing."""


class Worker:
    """Owns everything that touches car, journal and plaintext; others hand it work."""

    def __init__(
        self,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
        pass_time: PassTime = lambda loop, passing: None,
    ) -> None:
        self.loop = loop_factory()
        self.pass_time = pass_time
        self._thread = threading.Thread(target=self._run, name="pitbox-worker", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        """Start a coroutine on the worker's loop; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    async def call(self, function: Callable[[], Result]) -> Result:
        """Run a short function in the worker's thread, from another loop."""

        async def inside() -> Result:
            return function()

        return await asyncio.wrap_future(self.submit(inside()))

    def stop(self) -> None:
        """End the thread; work in progress is dropped, as it would be by a power cut."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
