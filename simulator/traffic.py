"""Other traffic on the bus: frames that the car's controllers repeat at a fixed pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from drivers.can.interface import CanBusGoneError, CanFrame, CanPort


@dataclass(frozen=True, slots=True)
class PeriodicFrame:
    """A frame and its period; its last byte counts up."""

    can_id: int
    data: bytes
    period_s: float
    extended: bool = False
    owner: str | None = None
    """Definition id of the ECU that sends it; None for a controller that is not simulated otherwise."""


class Traffic:
    """Sends periodic frames from one node until closed."""

    def __init__(
        self, port: CanPort, frames: tuple[PeriodicFrame, ...], may_send: Callable[[PeriodicFrame], bool]
    ) -> None:
        self._port = port
        self._may_send = may_send
        self._loop = asyncio.get_running_loop()
        self._timers: dict[PeriodicFrame, asyncio.TimerHandle] = {}
        self._counts = dict.fromkeys(frames, 0)
        for frame in frames:
            self._arm(frame)

    def close(self) -> None:
        """Fall silent and leave the bus."""
        for timer in self._timers.values():
            timer.cancel()
        self._port.close()

    def _arm(self, frame: PeriodicFrame) -> None:
        self._timers[frame] = self._loop.call_later(frame.period_s, self._send, frame)

    def _send(self, frame: PeriodicFrame) -> None:
        if self._may_send(frame):
            self._counts[frame] += 1
            data = frame.data[:-1] + bytes((self._counts[frame] & 0xFF,))
            try:
                self._port.send(CanFrame(frame.can_id, data, frame.extended))
            except CanBusGoneError:
                return
        self._arm(frame)
