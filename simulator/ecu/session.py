"""Diagnostic session of an ECU: S3 timeout and what is unlocked or switched off in it (ISO 14229-1, 10.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum

from simulator.ecu.spans import Spans

S3_SERVER_S = 5.0
"""ISO 14229-2, table 3."""
_BUSY_LOOK_S = 0.1


class Kind(StrEnum):
    """Classes of session; the number of each comes from the definition."""

    DEFAULT = "default"
    EXTENDED = "extended"
    PROGRAMMING = "programming"


class DiagnosticSession:
    """The active session. Every transition locks security again and switches everything back on."""

    def __init__(self, on_expired: Callable[[], None]) -> None:
        self._on_expired = on_expired
        self._loop = asyncio.get_running_loop()
        self._deadline_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.busy = False
        self.leave()

    def leave(self) -> None:
        """Back to the default session."""
        self.enter(Kind.DEFAULT, 0x01)

    def enter(self, kind: Kind, number: int) -> None:
        """Begin a session, even the same one again."""
        self.kind = kind
        self.number = number
        self.unlocked: set[int] = set()
        self.seed: tuple[int, bytes] | None = None
        self.preconditions_checked = False
        self.fingerprint_written = False
        self.erased = False
        self.fresh: Spans = []
        """Erased in it, and not begun to be programmed."""
        self.verified_rate_bps: int | None = None
        """What it has said that it would change its bit rate to."""
        self.dtc_setting_on = True
        self.communication_on = True
        self._stop()
        self.touch()

    def touch(self) -> None:
        """A request came or was answered: S3 starts again."""
        self._deadline_s = self._loop.time() + S3_SERVER_S
        if self.kind is not Kind.DEFAULT and self._timer is None:
            self._arm()

    def end(self) -> None:
        """The processor stops."""
        self._stop()

    def _arm(self) -> None:
        self._timer = self._loop.call_at(self._deadline_s, self._check)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """S3, checked lazily: a request only moves the deadline."""
        self._timer = None
        if self.busy:  # S3 does not run out in the middle of a service
            self._timer = self._loop.call_later(_BUSY_LOOK_S, self._check)
        elif self._loop.time() < self._deadline_s - 1e-9:
            self._arm()
        else:
            self._on_expired()
