"""The patterns that wake a K-line, made by holding it low, and measured while they are made.

A UART cannot send 5 bit/s, and nothing tells afterwards how long a line was low: so the clock is read before
and after each edge, and a pattern that may have been off is told instead of being taken for good.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from drivers.kline.interface import ADDRESS_BIT_S, WAKE_LOW_S, WAKE_WHOLE_S, Span, WakePulse, WakeTimingError

EDGE_TOLERANCE_S = 0.005
"""By which an edge of the address may be late; receivers sample in the middle (our own choice)."""
_SPIN_S = 0.003
"""So long before an edge the clock is watched instead of slept upon."""
_SWITCH_S = 0.0002
"""How long another thread of this process may keep the interpreter meanwhile."""


class Held(Protocol):
    """A line that can be held low."""

    def hold(self, low: bool) -> None:
        """Hold it low, or let go of it. Raises KLineError."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A clock in seconds, and how time is passed on it."""

    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def wait_until(self, due_s: float) -> None:
        """Sleep, and watch the clock for the last bit."""
        while (left_s := due_s - self.now_s()) > 0:
            if left_s > _SPIN_S:
                self.sleep(left_s - _SPIN_S)


def wake_pulse(line: Held, first_byte: Callable[[], None], watch: Watch) -> WakePulse:
    """25 ms low, 25 ms high, then the first byte of a request. Raises KLineError."""
    with _undisturbed(), _released(line):
        low = _edge(line, True, watch)
        watch.wait_until(low.longest_s + WAKE_LOW_S - _half(low))
        high = _edge(line, False, watch)
        watch.wait_until(low.longest_s + WAKE_WHOLE_S - _half(low))
        begun_s = watch.now_s()
        _require(WakePulse(_between(low, high), _between(low, Span(begun_s, begun_s))))
        first_byte()
        pulse = WakePulse(_between(low, high), _between(low, Span(begun_s, watch.now_s())))
    _require(pulse)
    return pulse


def address_bits(line: Held, address: int, watch: Watch) -> None:
    """Start bit, eight bits from the lowest on, stop bit, at 5 bit/s. Raises KLineError."""
    levels = [False, *(bool(address >> bit & 1) for bit in range(8)), True]
    with _undisturbed(), _released(line):
        began_s = watch.now_s()
        is_high = True
        for number, high in enumerate(levels):
            watch.wait_until(began_s + number * ADDRESS_BIT_S)
            if high is not is_high:
                edge = _edge(line, not high, watch)
                late_s = edge.longest_s - began_s - number * ADDRESS_BIT_S
                if late_s > EDGE_TOLERANCE_S:
                    raise WakeTimingError(
                        f"bit {number} of the wake-up address was {late_s * 1000:.1f} ms late"
                    )
                is_high = high
        watch.wait_until(began_s + len(levels) * ADDRESS_BIT_S)


def _edge(line: Held, low: bool, watch: Watch) -> Span:
    """When it was, on the watch: not before the first figure, not after the second."""
    before_s = watch.now_s()
    line.hold(low)
    return Span(before_s, watch.now_s())


def _half(edge: Span) -> float:
    return (edge.longest_s - edge.shortest_s) / 2


def _between(first: Span, second: Span) -> Span:
    return Span(second.shortest_s - first.longest_s, second.longest_s - first.shortest_s)


def _require(pulse: WakePulse) -> None:
    if not pulse.is_good:
        raise WakeTimingError(
            f"the wake-up pulse of the K-line was off: "
            f"{pulse.low.shortest_s * 1000:.2f} to {pulse.low.longest_s * 1000:.2f} ms low, "
            f"{pulse.whole.shortest_s * 1000:.2f} to {pulse.whole.longest_s * 1000:.2f} ms in all"
        )


@contextmanager
def _released(line: Held) -> Iterator[None]:
    """The first call, slow on some adapters, is made before time counts; the last lets go for sure."""
    line.hold(False)
    try:
        yield
    finally:
        line.hold(False)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """This thread before others of the machine, where it may be, and before others of the process."""
    collecting, switch_s = gc.isenabled(), sys.getswitchinterval()
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    gc.disable()
    sys.setswitchinterval(_SWITCH_S)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.sched_setscheduler(0, policy, parameter)
        sys.setswitchinterval(switch_s)
        if collecting:
            gc.enable()
