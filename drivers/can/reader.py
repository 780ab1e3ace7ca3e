"""How frames get from a python-can bus onto the event loop: by its file descriptor, or from a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import can

MessageHandler = Callable[[can.Message], None]
ErrorHandler = Callable[[Exception], None]

_BATCH = 32
"""Frames taken per turn of the loop, so that a busy bus starves nobody."""
_POLL_S = 0.02


class FdReader:
    """Reads when the descriptor has something: no thread."""

    def __init__(self, bus: can.BusABC, on_message: MessageHandler, on_error: ErrorHandler) -> None:
        self._bus = bus
        self._on_message = on_message
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._descriptor = bus.fileno()
        self._stopped = False
        self._loop.add_reader(self._descriptor, self._drain)

    def stop(self) -> None:
        """Read no more."""
        self._stopped = True
        self._loop.remove_reader(self._descriptor)

    def _drain(self) -> None:
        for _ in range(_BATCH):
            if self._stopped:
                return
            try:
                message = self._bus.recv(0)
            except (can.CanError, OSError) as error:
                self._on_error(error)
                return
            if message is None:
                return
            self._on_message(message)


class ThreadReader:
    """For interfaces without a descriptor: a thread waits, the loop handles. Any error there is the end."""

    def __init__(self, bus: can.BusABC, on_message: MessageHandler, on_error: ErrorHandler) -> None:
        self._bus = bus
        self._on_message = on_message
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="can-reader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read no more; the thread has ended when this returns."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                message = self._bus.recv(_POLL_S)
            except (can.CanError, OSError) as error:
                self._post(self._on_error, ConnectionError(str(error)))
                return
            if message is not None:
                self._post(self._on_message, message)

    def _post(self, handler: Callable[[Any], None], argument: Any) -> None:
        if not self._stop.is_set():
            self._loop.call_soon_threadsafe(handler, argument)
