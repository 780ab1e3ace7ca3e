"""Progress of a phase: only bytes the ECU acknowledged or delivered, at most a few events per second."""

from __future__ import annotations

import asyncio

from appliance.contract.events import Emit, Phase, ProgressEvent
from appliance.flashing.power import PowerGuard

_EVERY_S = 0.25


class Progress:
    """Counts bytes of one phase and emits rate, share of the wire's ceiling, time left and voltage."""

    def __init__(
        self,
        emit: Emit,
        job_id: str | None,
        phase: Phase,
        total_bytes: int,
        ceiling_bytes_per_s: float,
        power: PowerGuard,
    ) -> None:
        self._emit = emit
        self._job_id = job_id
        self._phase = phase
        self._total = total_bytes
        self._ceiling = ceiling_bytes_per_s
        self._power = power
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._shown = float("-inf")
        self._moved = 0
        self.done_bytes = 0

    def add(self, count: int, *, moved: bool = True) -> None:
        """`count` more bytes are done; moved=False for bytes that did not cross the wire (skipped)."""
        self.done_bytes += count
        self._moved += count if moved else 0
        if self._loop.time() - self._shown >= _EVERY_S or self.done_bytes >= self._total:
            self.show()

    def show(self) -> None:
        """Emit the present state."""
        self._shown = self._loop.time()
        seconds = self._shown - self._began
        rate = self._moved / seconds if seconds > 0 else 0.0
        left = self._total - self.done_bytes
        self._emit(
            ProgressEvent(
                self._job_id,
                self._phase,
                self.done_bytes,
                self._total,
                rate,
                rate / self._ceiling if self._ceiling else None,
                left / rate if rate > 0 else None,
                self._power.now_v,
            )
        )
