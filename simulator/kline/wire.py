"""A simulated K-line: one wire that everybody can pull low, every byte costs its exact bits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.virtualtime import leaping

_BITS = 10
"""Start bit, eight data bits, stop bit."""
_RATE_TOLERANCE = 0.03
"""Between two UARTs, so that the stop bit is still sampled in its place."""


@dataclass(slots=True)
class WireByte:
    """A byte on its way; `value` is None where it does not get onto the wire."""

    sender: KNode
    value: int | None
    rate_bps: int
    start_s: float
    end_s: float
    disturbed_by: list[int] = field(default_factory=list)
    """Bytes of others that were on the wire at the same time."""


FaultHook = Callable[[WireByte], None]
"""May change `value`, or set it to None, when the byte begins."""


def _ignored(value: float) -> None:
    del value


class KNode:
    """One UART and one transistor on the wire."""

    def __init__(self, wire: KWire, name: str, rate_bps: int) -> None:
        self.name = name
        self.rate_bps = rate_bps
        self.listens_at: Callable[[], int] | None = None
        """Tells the rate at which it hears, where somebody else sets that."""
        self.on_byte: Callable[[int], None] = _ignored
        """Called at the end of each byte, one's own among them (the echo)."""
        self.on_level: Callable[[bool], None] = _ignored
        """Called with True when somebody begins to hold the wire low, with False when nobody does."""
        self.queue: deque[int] = deque()
        self._wire = wire

    def send(self, data: bytes) -> None:
        """Bytes behind each other without a pause, after those that are under way."""
        self.queue.extend(data)
        self._wire.start(self)

    def hold(self, low: bool) -> None:
        """Hold the wire low, or let go of it."""
        self._wire.hold(self, low)

    def leave(self) -> None:
        """Let go of the wire for ever, with all that was still to be sent."""
        self.fall_silent()
        self._wire.detach(self)

    def fall_silent(self) -> None:
        """Forget what is still to be sent, and let go of the wire."""
        self.queue.clear()
        self.hold(False)


class KWire:
    """Nodes and the wire between them, on the running loop's time."""

    def __init__(self) -> None:
        self.fault: FaultHook | None = None
        self.dead = False
        """No supply or no wire: nobody hears anything, not even himself."""
        self.stuck_low = False
        """Shorted to ground: every byte reads as zeroes, and there are no edges."""
        self.bytes_carried = 0
        self.busy_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._leap_to = leaping(self._loop)
        self._nodes: list[KNode] = []
        self._holding: set[str] = set()
        self._flying: dict[str, WireByte] = {}

    def attach(self, name: str, rate_bps: int = 10_400) -> KNode:
        """A new node."""
        node = KNode(self, name, rate_bps)
        self._nodes.append(node)
        return node

    def detach(self, node: KNode) -> None:
        """A node that is there no more, if it was."""
        if node in self._nodes:
            self._nodes.remove(node)

    def start(self, node: KNode) -> None:
        """Begin with the next byte of a node that is not sending."""
        byte = self._begin(node, self._loop.time())
        if byte is not None:
            self._loop.call_at(byte.end_s, self._land, byte)

    def _begin(self, node: KNode, now_s: float) -> WireByte | None:
        """The next byte of a node, on the wire; None where there is none, or one already."""
        if node.name in self._flying or not node.queue:
            return None
        byte = WireByte(node, node.queue.popleft(), node.rate_bps, now_s, now_s + _BITS / node.rate_bps)
        if self.fault is not None:
            self.fault(byte)
        for other in self._flying.values():
            if byte.value is not None:
                other.disturbed_by.append(byte.value)
            if other.value is not None:
                byte.disturbed_by.append(other.value)
        self._flying[node.name] = byte
        return byte

    def noise(self, value: int) -> None:
        """A disturbance that every UART takes for a byte."""
        for node in tuple(self._nodes):
            node.on_byte(value)

    def hold(self, node: KNode, low: bool) -> None:
        """A node pulls the wire low, or lets go."""
        before = bool(self._holding)
        (self._holding.add if low else self._holding.discard)(node.name)
        after = bool(self._holding)
        if before is after or self.dead or self.stuck_low:
            return
        for listener in tuple(self._nodes):
            listener.on_level(after)
            if after:
                self._loop.call_later(_BITS / listener.rate_bps, self._break, listener)

    def _break(self, node: KNode) -> None:
        """A line that stays low for a byte's time reads as a zero without a stop bit."""
        if self._holding:
            node.on_byte(0)

    def _land(self, byte: WireByte) -> None:
        """The end of a byte, and of those behind it for as long as nothing else happens in between."""
        following = self._end(byte)
        while following is not None:
            if not self._leap_to(following.end_s):
                self._loop.call_at(following.end_s, self._land, following)
                return
            following = self._end(following)

    def _end(self, byte: WireByte) -> WireByte | None:
        """A byte is over; what follows it."""
        del self._flying[byte.sender.name]
        self.bytes_carried += 1
        self.busy_s += byte.end_s - byte.start_s
        if byte.value is not None and not self.dead:
            value = 0 if self.stuck_low else byte.value
            for other in byte.disturbed_by:
                value &= other
            for node in tuple(self._nodes):
                node.on_byte(value if self._agree(node, byte) else value ^ 0x80 | 0x01)
        return self._begin(byte.sender, byte.end_s)

    @staticmethod
    def _agree(node: KNode, byte: WireByte) -> bool:
        hears_bps = node.rate_bps if node.listens_at is None else node.listens_at()
        return abs(hears_bps - byte.rate_bps) <= _RATE_TOLERANCE * byte.rate_bps
