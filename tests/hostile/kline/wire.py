"""A K-line with a box at one end and one ECU at the other, and what happens between them."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

from drivers.kline.simulated import SimulatedKLine
from tests.hostile.kline.spite import LineSpite

_BITS = 10
_AGREE = 0.03
_BURST_S = 0.016
"""How long a USB adapter gathers bytes."""
_SHORTEST_S, _LONGEST_S = 0.05, 9.0

Landing = tuple[int, float, float]
"""A byte, its beginning and its end."""


class Listener(Protocol):
    """The ECU's end."""

    rate: int

    def byte(self, value: int, began_s: float) -> None:
        """A byte ended now."""

    def level(self, low: bool) -> None:
        """Somebody holds the wire low, or lets go."""


class BoxEnd:
    """What the box's driver sees as its node: its own bytes come back to it."""

    def __init__(self, wire: Wire) -> None:
        self.rate_bps = 10_400
        self.on_byte: Callable[[int], None] = lambda value: None
        self.line: SimulatedKLine | None = None
        self._wire = wire

    def send(self, data: bytes) -> None:
        for value in data:
            self._wire.from_box(self, value)

    def hold(self, low: bool) -> None:
        self._wire.hold(low)

    def leave(self) -> None:
        self._wire.hold(False)
        self._wire.box = None if self._wire.box is self else self._wire.box


class Wire:
    """Each byte takes its ten bits; two at once spoil each other."""

    def __init__(self, spite: LineSpite, dice: random.Random) -> None:
        self._loop = asyncio.get_running_loop()
        self._spite = spite
        self._dice = dice
        self.box: BoxEnd | None = None
        self.ecu: Listener | None = None
        self._dead_until_s = self._low_until_s = self._free_s = self._said_s = 0.0
        self._air: deque[tuple[str, float, float, int]] = deque(maxlen=24)
        self._low = False

    def plug(self) -> SimulatedKLine:
        """A new adapter at the box's end."""
        self.box = BoxEnd(self)
        self.box.line = SimulatedKLine(self.box)
        return self.box.line

    def hold(self, low: bool) -> None:
        if low is self._low:
            return
        self._low = low
        if self.ecu is not None and not self._dead and not self._short:
            self.ecu.level(low)

    def from_box(self, box: BoxEnd, value: int) -> None:
        """One more byte of the box."""
        began_s = max(self._loop.time(), self._free_s)
        self._free_s = began_s + _BITS / box.rate_bps
        self._air.append(("box", began_s, self._free_s, value))
        self._loop.call_at(self._free_s, self._box_landed, box, value, began_s)

    def say(self, data: bytes, rate: int, gap_s: float, in_bursts: bool) -> float:
        """The ECU sends; seconds until the last byte is out. An adapter hands over bytes, or bursts."""
        at_s = max(self._loop.time(), self._said_s)
        landings: list[Landing] = []
        for value in data:
            began_s, at_s = at_s, at_s + _BITS / rate
            self._air.append(("ecu", began_s, at_s, value))
            landings.append((value, began_s, at_s))
            at_s += gap_s
        self._said_s = landings[-1][2]
        due: dict[float, list[Landing]] = {}
        for one in landings:
            due.setdefault(math.ceil(one[2] / _BURST_S) * _BURST_S if in_bursts else one[2], []).append(one)
        for due_s, several in due.items():
            self._loop.call_at(due_s, self._ecu_landed, several, rate)
        return self._said_s - self._loop.time()

    def calm(self) -> None:
        """Everything is mended."""
        self._dead_until_s = self._low_until_s = 0.0

    @property
    def _dead(self) -> bool:
        return self._loop.time() < self._dead_until_s and not self._spite.calm

    @property
    def _short(self) -> bool:
        return self._loop.time() < self._low_until_s and not self._spite.calm

    def _box_landed(self, box: BoxEnd, value: int, began_s: float) -> None:
        if box is not self.box:
            return
        struck = self._spite.at_byte()
        if struck is not None:
            self._strike(struck, box)
        if self._dead:
            return
        seen = self._mixed("box", began_s, self._loop.time(), 0 if self._short else value)
        wrong = seen ^ self._dice.randint(1, 255)
        if self.ecu is not None and struck != "byte_lost":
            heard = wrong if struck == "byte_wrong" else seen
            self._to_ecu(heard, box.rate_bps, began_s)
        if struck != "echo_lost":
            box.on_byte(wrong if struck == "echo_wrong" else seen)
        if struck == "noise":
            box.on_byte(self._dice.randrange(256))

    def _strike(self, kind: str, box: BoxEnd) -> None:
        now_s, lasts_s = self._loop.time(), self._dice.uniform(_SHORTEST_S, _LONGEST_S)
        if kind == "dead":
            self._dead_until_s = now_s + lasts_s
        elif kind == "short":
            self._low_until_s = now_s + lasts_s
        elif kind == "unplugged" and box.line is not None:
            box.line.lose("unplugged")

    def _to_ecu(self, value: int, rate: int, began_s: float) -> None:
        assert self.ecu is not None
        if abs(rate - self.ecu.rate) > _AGREE * rate:
            value = self._dice.randrange(256)
        self.ecu.byte(value, began_s)

    def _ecu_landed(self, landings: list[Landing], rate: int) -> None:
        for value, began_s, ended_s in landings:
            box = self.box
            if box is None or self._dead:
                return
            seen = 0 if self._short else self._mixed("ecu", began_s, ended_s, value)
            if abs(rate - box.rate_bps) > _AGREE * rate:
                seen = self._dice.randrange(256)
            box.on_byte(seen)

    def _mixed(self, sender: str, began_s: float, ended_s: float, value: int) -> int:
        """A zero of either side wins."""
        for other, since_s, until_s, byte in self._air:
            if other != sender and since_s < ended_s - 1e-9 and began_s < until_s - 1e-9:
                value &= byte
        return value
