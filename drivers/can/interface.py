"""What a CAN bus can do, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class CanFrame(NamedTuple):
    """One data frame, classic (0 to 8 bytes) or FD (0 to 8, 12, 16, 20, 24, 32, 48, 64 bytes)."""

    can_id: int
    data: bytes
    extended: bool = False
    fd: bool = False
    bit_rate_switch: bool = False


@dataclass(frozen=True, slots=True)
class BusHealth:
    """Error counters of the controller (ISO 11898-1, 12.1): 0/0 is a clean link, 256 is bus-off."""

    tx_errors: int = 0
    rx_errors: int = 0
    bus_off: bool = False
    """Also an interface that is gone: nothing can be sent."""
    frames_seen: int = 0
    load: float = 0.0
    """Share of the wire used since the last look, 0 to 1."""
    lost_frames: int = 0
    """Arrived since the port was opened, and thrown away because this machine did not take them in time."""


class CanBusGoneError(ConnectionError):
    """The interface vanished or went bus-off: nothing can be sent until it is opened again."""


FrameHandler = Callable[[CanFrame], None]
SentHandler = Callable[[], None]


class CanPort(Protocol):
    """One node's connection to a bus. Callbacks run on the event loop that opened the port."""

    @property
    def bitrate_bps(self) -> int:
        """Nominal (arbitration) bit rate."""

    @property
    def data_bitrate_bps(self) -> int | None:
        """Data-phase bit rate of CAN FD; None on a classic bus."""

    def send(self, frame: CanFrame, on_sent: SentHandler | None = None) -> None:
        """Queue a frame; on_sent runs once it was acknowledged on the wire. Raises CanBusGoneError."""

    def subscribe(self, handler: FrameHandler, can_ids: frozenset[int] | None = None) -> Callable[[], None]:
        """Call handler for each frame of other nodes (all, or only these ids); returns the unsubscriber."""

    def on_gone(self, handler: Callable[[CanBusGoneError], None]) -> Callable[[], None]:
        """Call handler once if the bus goes away; returns the unsubscriber."""

    def health(self) -> BusHealth:
        """Error counters and load as of now."""

    def close(self) -> None:
        """Leave the bus; pending frames are dropped."""
