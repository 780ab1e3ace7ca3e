"""A simulated CAN bus: one frame at a time, arbitration by identifier, every frame costs its exact bits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from drivers.can.bits import frame_seconds
from drivers.can.interface import BusHealth, CanBusGoneError, CanFrame, FrameHandler, SentHandler
from drivers.can.listeners import PortListeners
from simulator.virtualtime import leaping

_ERROR_FRAME_BITS = 20
"""Error flag, delimiter and intermission that follow a corrupted frame (ISO 11898-1, 10.4.4)."""
_BUS_OFF_COUNT = 256


class Fate(Enum):
    """What happens to one frame on the wire."""

    LOST = auto()
    """Acknowledged, but no receiver takes it (a full receive buffer)."""
    DOUBLED = auto()
    LATE = auto()
    """Delivered `delay_s` after its end."""
    CORRUPTED = auto()
    """CRC error: error frame, then the controller sends it again by itself."""
    GARBLED = auto()
    """Delivered with other data: what a broken driver or buffer does."""


@dataclass(frozen=True, slots=True)
class FrameFate:
    """A fate and its parameter."""

    fate: Fate
    delay_s: float = 0.0
    data: bytes = b""


FaultHook = Callable[[CanFrame], FrameFate | None]


class SimPort(PortListeners):
    """One node on the simulated bus."""

    def __init__(self, bus: SimBus, name: str) -> None:
        super().__init__()
        self.name = name
        self.bitrate_bps = bus.bitrate_bps
        """Its own nominal bit rate: it hears nothing of nodes at another one."""
        self.queue: deque[tuple[CanFrame, SentHandler | None]] = deque()
        self.tx_errors = 0
        self.rx_errors = 0
        self._bus = bus

    @property
    def data_bitrate_bps(self) -> int | None:
        """Data-phase bit rate, None on a classic bus."""
        return self._bus.data_bitrate_bps

    def send(self, frame: CanFrame, on_sent: SentHandler | None = None) -> None:
        """Queue a frame. Raises CanBusGoneError."""
        self.require_bus()
        self.queue.append((frame, on_sent))
        if not self._bus.busy:
            self._bus.wake()

    def set_rate(self, bitrate_bps: int) -> None:
        """From now on at another bit rate; what is not on the wire yet is dropped."""
        self.bitrate_bps = bitrate_bps
        self.queue.clear()
        self._bus.rate_changed()

    def lose(self, why: str, bus_off: bool = False) -> None:
        """The interface vanishes or goes bus-off; pending frames are dropped."""
        if self.gone is not None:
            return
        if bus_off:
            self.tx_errors = _BUS_OFF_COUNT
        self.queue.clear()
        self._bus.detach(self)
        self.mark_gone(CanBusGoneError(why))

    def health(self) -> BusHealth:
        """Error counters and load as of now."""
        bus_off = self.tx_errors >= _BUS_OFF_COUNT
        return BusHealth(self.tx_errors, self.rx_errors, bus_off, self._bus.frames, self._bus.load())

    def close(self) -> None:
        """Leave the bus."""
        self.lose("the port was closed")


class SimBus:
    """Nodes and the wire between them, on the running loop's time."""

    def __init__(self, bitrate_bps: int = 500_000, data_bitrate_bps: int | None = None) -> None:
        self.bitrate_bps = bitrate_bps
        self.data_bitrate_bps = data_bitrate_bps
        self.fault: FaultHook | None = None
        self.frames = 0
        self.busy_s = 0.0
        self.tap: FrameHandler | None = None
        self.busy = False
        """A frame is on the wire, and those that wait come when it has ended."""
        self._ports: tuple[SimPort, ...] = ()
        self._one_rate = True
        self._loop = asyncio.get_running_loop()
        self._leap_to = leaping(self._loop)
        self._on_wire: tuple[SimPort, CanFrame, SentHandler | None]
        self._end_s = 0.0
        self._load_mark = (self._loop.time(), 0.0)

    def attach(self, name: str) -> SimPort:
        """A new node."""
        port = SimPort(self, name)
        self._ports = (*self._ports, port)
        self.wake()
        return port

    def detach(self, port: SimPort) -> None:
        """Take a node off the wire."""
        self._ports = tuple(one for one in self._ports if one is not port)

    def rate_changed(self) -> None:
        """A node has gone to another bit rate, or come back."""
        self._one_rate = all(port.bitrate_bps == self.bitrate_bps for port in self._ports)
        self.wake()

    def load(self) -> float:
        """Share of the wire used since the last call, 0 to 1."""
        (since, busy), now = self._load_mark, self._loop.time()
        self._load_mark = (now, self.busy_s)
        return min(1.0, (self.busy_s - busy) / (now - since)) if now > since else 0.0

    def wake(self) -> None:
        """Start the next frame if the wire is idle; a lone node gets no acknowledge and waits."""
        if not self.busy and self._begin(self._loop.time()):
            self._loop.call_at(self._end_s, self._finish)

    def _begin(self, at_s: float) -> bool:
        """Put the frame that wins the wire onto it; False where nobody sends, or nobody would hear."""
        waiting = [port for port in self._ports if port.queue]
        if not self._one_rate:
            waiting = [port for port in waiting if self._has_hearer(port)]
        if not waiting or len(self._ports) < 2:
            self.busy = False
            return False
        port = waiting[0] if len(waiting) == 1 else min(waiting, key=_arbitration)
        frame, on_sent = port.queue.popleft()
        self._on_wire = port, frame, on_sent
        self._occupy(at_s, frame_seconds(frame, port.bitrate_bps, self.data_bitrate_bps))
        return True

    def _has_hearer(self, port: SimPort) -> bool:
        """A frame that no node at its rate acknowledges is not sent: its sender tries in vain."""
        return any(one is not port and one.bitrate_bps == port.bitrate_bps for one in self._ports)

    def _occupy(self, at_s: float, seconds: float) -> None:
        """Keep the wire busy for one frame. Frames follow each other without the loop's lateness between."""
        self.busy = True
        self.busy_s += seconds
        self._end_s = at_s + seconds

    def _finish(self) -> None:
        """The end of a frame, and of those behind it for as long as nothing else happens in between."""
        while self._end():
            if not self._leap_to(self._end_s):
                self._loop.call_at(self._end_s, self._finish)
                return

    def _end(self) -> bool:
        """The frame on the wire has ended; True if there is another one."""
        port, frame, on_sent = self._on_wire
        fate = self.fault(frame) if self.fault else None
        if fate is not None and fate.fate is Fate.CORRUPTED:
            if self._count_error(port):
                again_s = frame_seconds(frame, port.bitrate_bps, self.data_bitrate_bps)
                self._occupy(self._end_s, _ERROR_FRAME_BITS / port.bitrate_bps + again_s)
                return True
            return self._begin(self._end_s)
        self.frames += 1
        if port.tx_errors and port.gone is None:
            port.tx_errors -= 1
        if fate is None:
            self._deliver(port, frame)
        else:
            self._deliver_otherwise(port, frame, fate)
        if on_sent is not None and port.gone is None:
            on_sent()
        return self._begin(self._end_s)

    def _deliver(self, sender: SimPort, frame: CanFrame) -> None:
        if self.tap is not None:
            self.tap(frame)
        for port in self._ports:
            if port is not sender and port.bitrate_bps == sender.bitrate_bps:
                if port.rx_errors:
                    port.rx_errors -= 1
                port.deliver(frame)

    def _deliver_otherwise(self, port: SimPort, frame: CanFrame, fate: FrameFate) -> None:
        if fate.fate is Fate.LATE:
            self._loop.call_later(fate.delay_s, self._deliver, port, frame)
        elif fate.fate is Fate.DOUBLED:
            self._deliver(port, frame)
            self._deliver(port, frame)
        elif fate.fate is Fate.GARBLED:
            self._deliver(port, frame._replace(data=fate.data))

    def _count_error(self, port: SimPort) -> bool:
        """Error counters after a corrupted frame; True if its sender tries again (ISO 11898-1, 12.1.4)."""
        for other in self._ports:
            other.rx_errors += 0 if other is port else 1
        if port.gone is not None:
            return False
        port.tx_errors += 8
        if port.tx_errors < _BUS_OFF_COUNT:
            return True
        port.lose("bus-off", bus_off=True)
        return False


def _arbitration(port: SimPort) -> tuple[int, bool, int]:
    """Sort key of a node's next frame: lower wins; a base frame beats an extended one of the same 11 bits."""
    frame = port.queue[0][0]
    return (frame.can_id >> 18 if frame.extended else frame.can_id, frame.extended, frame.can_id)
