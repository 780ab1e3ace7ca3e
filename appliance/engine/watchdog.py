"""Telling systemd that the engine is ready and alive (sd_notify(3), WatchdogSec=)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping

log = logging.getLogger("pitbox.engine")

Alive = Callable[[], Awaitable[None]]
"""Returns once every loop of the process has made a turn."""


class Watchdog:
    """Speaks to the service manager named in the environment; silent where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        wanted = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit_us = environment.get("WATCHDOG_USEC", "")
        self.period_s = int(limit_us) / 2e6 if wanted and limit_us.isdecimal() else None
        """Seconds between two signs of life; None when nobody waits for them."""

    def ready(self) -> None:
        """Clients may connect."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    async def run(self, alive: Alive) -> None:
        """A sign of life each period, as long as `alive` returns; without it systemd starts a new engine."""
        while self.period_s:
            await alive()
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.period_s)

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            try:
                manager.sendto(state.encode(), name)
            except OSError as error:
                log.warning("the service manager at %s was not told %s: %s", self._address, state, error)
