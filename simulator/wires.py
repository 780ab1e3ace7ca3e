"""What a simulated car is wired with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from drivers.can.interface import CanPort
from simulator.kline.wire import KWire


class Bus(Protocol):
    """Anything nodes can be attached to: a SimBus, or a real interface."""

    def attach(self, name: str) -> CanPort:
        """A new node. Raises CanBusGoneError."""


@dataclass(slots=True)
class Wires:
    """None for a wire that the car has not got."""

    can: Bus | None = None
    kline: KWire | None = None

    def require_can(self) -> Bus:
        """Raises LookupError."""
        if self.can is None:
            raise LookupError("this car has no CAN bus")
        return self.can

    def require_kline(self) -> KWire:
        """Raises LookupError."""
        if self.kline is None:
            raise LookupError("this car has no K-line")
        return self.kline
