"""Makes the faults of a plan happen to a K-line, byte by byte."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Collection

from simulator.controller import Controller
from simulator.faults import Fault, FaultKind
from simulator.kline.controller import KLineController
from simulator.kline.wire import KWire, WireByte

_NOISE_SHARE = 0.02
_OF_THE_TESTER = frozenset({FaultKind.WRONG_ECHO, FaultKind.NO_ECHO})
_XORED = frozenset({FaultKind.WRONG_ECHO, FaultKind.GARBLED_BYTE})
_BYTES = _OF_THE_TESTER | _XORED | {FaultKind.LOST_BYTE, FaultKind.DOUBLED_BYTE}


class LineFaults:
    """`waiting` are those that a number of bytes on the wire sets off."""

    def __init__(
        self,
        wire: KWire,
        ecus: Collection[str],
        strike: Callable[[Fault], None],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """`ecus` are the names of the controllers: whoever else sends is the tester."""
        self.waiting: list[Fault] = []
        self._wire = wire
        self._ecus = ecus
        self._strike = strike
        self._later = later
        self._loop = asyncio.get_running_loop()
        self._carried = 0
        self._next: deque[Fault] = deque()
        self._noisy_until_s = 0.0
        self._dice = random.Random("noise")
        wire.fault = self._on_byte

    def strike(self, fault: Fault, ecu: Controller) -> None:
        """Let it happen, now or to the coming bytes."""
        if fault.kind in _BYTES:
            self._next.extend([fault] * fault.count)
        elif fault.kind is FaultKind.LINE_NOISE:
            self._noisy_until_s = self._loop.time() + fault.duration_s
        elif fault.kind is FaultKind.RATE_REFUSED:
            assert isinstance(ecu, KLineController)
            ecu.server.rates_refused += fault.count
        else:
            name = "dead" if fault.kind is FaultKind.LINE_DEAD else "stuck_low"
            setattr(self._wire, name, True)
            self._later(fault.duration_s, self.mend)

    def mend(self) -> None:
        """The wire is whole again."""
        self._wire.dead = self._wire.stuck_low = False

    def _on_byte(self, byte: WireByte) -> None:
        self._carried += 1
        for fault in [one for one in self.waiting if one.at <= self._carried]:
            self.waiting.remove(fault)
            self._strike(fault)
        if self._loop.time() < self._noisy_until_s and self._dice.random() < _NOISE_SHARE:
            byte.value = None if self._dice.random() < 0.5 else self._dice.randrange(256)
        due = next((one for one in self._next if self._hits(one, byte)), None)
        if due is None or byte.value is None:
            return
        self._next.remove(due)
        if due.kind in _XORED:
            byte.value ^= due.mask
        elif due.kind is FaultKind.DOUBLED_BYTE:
            byte.sender.queue.appendleft(byte.value)
        else:
            byte.value = None

    def _hits(self, fault: Fault, byte: WireByte) -> bool:
        return fault.kind not in _OF_THE_TESTER or byte.sender.name not in self._ecus
