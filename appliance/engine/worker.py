"""The thread that works on the ECU: its own event loop, on real or simulated time, apart from HTTP."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")

PassTime = Callable[[asyncio.AbstractEventLoop, bool], None]
"""Lets simulated time pass while there is work; real time needs nothing."""

log = logging.getLogger("pitbox.engine")


def die(why: str, error: BaseException | None = None) -> None:
    """End the process at once: half an engine must not go on, and the journal knows where it stood."""
    log.critical("the engine ends itself: %s", why, exc_info=error)
    logging.shutdown()
    os._exit(os.EX_SOFTWARE)


class Worker:
    """Owns everything that touches car, journal and plaintext; others hand it work.

    If its thread, a callback or a background task on its loop dies, so does the process.
    """

    def __init__(
        self,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
        pass_time: PassTime = lambda loop, passing: None,
    ) -> None:
        self.loop = loop_factory()
        self.loop.set_exception_handler(_unhandled)
        self._pass_time = pass_time
        self._working = 0
        """Works inside of `time_passing`."""
        self._stopping = False
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

    async def turn(self) -> None:
        """Return once the worker's loop has made a turn."""
        await self.call(lambda: None)

    @contextmanager
    def time_passing(self) -> Iterator[None]:
        """For work on this loop: simulated time passes inside the longest of them, and not a moment longer.

        Another thread would stop the clock some time after the end, and no two runs would be alike.
        """
        if not self._working:
            self._pass_time(self.loop, True)
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                self._pass_time(self.loop, False)

    @contextmanager
    def time_standing_still(self) -> Iterator[None]:
        """The other way round, inside of `time_passing`: for what has to wait for the real world."""
        self._pass_time(self.loop, False)
        try:
            yield
        finally:
            self._pass_time(self.loop, True)

    def stop(self) -> None:
        """End the thread; work in progress is dropped, as it would be by a power cut."""
        self._stopping = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            if not self._stopping:
                die("the worker's thread ended", sys.exc_info()[1])


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A callback or a task that nobody waits for has failed: the bus, the supply or a timer is unattended."""
    error = context.get("exception")
    if error is None:
        loop.default_exception_handler(context)
        return
    die(str(context.get("message")), error)
