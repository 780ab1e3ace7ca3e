"""Progress of a phase: only bytes the ECU acknowledged or delivered, at most a few events per second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appliance.contract.events import Phase, ProgressEvent, Tell
from appliance.flashing.power import PowerGuard
from appliance.protocols.access import WireMeter

_EVERY_S = 0.25
_POSSIBLE = 1.05
"""Above this share a measured rate is no measure of the wire; up to it, it is rounding."""


def wire_share(bytes_per_s: float, ceiling_bytes_per_s: float) -> float | None:
    """Rate as a share of the wire's ceiling, 0 to 1; None where it cannot be one.

    A wire without bit times (a virtual bus) carries more than the ceiling of the one it stands for.
    """
    if bytes_per_s <= 0 or ceiling_bytes_per_s <= 0:
        return None
    share = bytes_per_s / ceiling_bytes_per_s
    return min(share, 1.0) if share <= _POSSIBLE else None


class Progress:
    """Counts bytes of one phase and tells rate, share of the wire's ceiling, time left and voltage."""

    def __init__(
        self,
        tell: Tell,
        job_id: str | None,
        phase: Phase,
        total_bytes: int,
        meter: Callable[[], WireMeter],
        power: PowerGuard,
    ) -> None:
        self._tell = tell
        self._job_id = job_id
        self._phase = phase
        self._total = total_bytes
        self._meter = meter
        self._ceiling = meter().ceiling_bytes_per_s
        self._sent_before = meter().sent_bytes
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
        """Tell the present state."""
        self._shown = self._loop.time()
        seconds = self._shown - self._began
        rate = self._moved / seconds if seconds > 0 else 0.0
        pace = rate or (self.done_bytes / seconds if seconds > 0 else 0.0)
        left = self._total - self.done_bytes
        figures = self._meter()
        on_wire = rate * figures.sent_per_memory if self._phase is Phase.WRITE else rate
        self._tell(
            ProgressEvent(
                self._job_id,
                self._phase,
                self.done_bytes,
                self._total,
                rate,
                wire_share(on_wire, self._ceiling),
                left / pace if pace > 0 else None,
                self._power.voltage(),
                figures.sent_bytes - self._sent_before if self._phase is Phase.WRITE else None,
            )
        )
