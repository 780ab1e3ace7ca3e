"""How a simulated ECU greets a tester that woke it at 5 bit/s (ISO 14230-2, 5.2.4.2.2): W1 to W4."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from simulator.kline.settings import KwpEcuSettings

_BITS = 10
_SYNCH = 0x55
_W4_LEAST_S, _W4_MOST_S = 0.025, 0.05
_LONGEST_S = 1.5
"""Longer than all of W1 to W4 together."""


class Greeter(Protocol):
    """The ECU that greets."""

    settings: KwpEcuSettings
    violations: list[str]

    @property
    def rate_bps(self) -> int:
        """Now."""

    def say(self, data: bytes, then: Callable[[], None] | None) -> None:
        """On the line; `then` once it is out."""

    def greeted(self) -> None:
        """The tester answered in time: it is awake."""

    def fall_asleep(self) -> None:
        """The tester did not."""


class Greeting:
    """One at a time: synch byte, key bytes, and the tester's complement of the second."""

    def __init__(self, ecu: Greeter) -> None:
        self._ecu = ecu
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._running = False
        self._said_s: float | None = None

    @property
    def awaits(self) -> bool:
        """Whether the tester's complement is due."""
        return self._said_s is not None

    def begin(self) -> None:
        """The tester sent this ECU's address."""
        self._running = True
        self._number += 1
        self._loop.call_later(_LONGEST_S, self._over, self._number)
        self._later(self._ecu.settings.w1_s, _SYNCH, self._first_key_byte)

    def forget(self) -> None:
        """It fell asleep."""
        self._running, self._said_s = False, None

    def heard(self, value: int) -> None:
        """A byte of the tester's, which is its complement or nothing."""
        if self._said_s is None:
            return
        settings = self._ecu.settings
        waited_s = self._loop.time() - _BITS / self._ecu.rate_bps - self._said_s
        self._said_s = None
        in_time = _W4_LEAST_S - settings.exact_s <= waited_s <= _W4_MOST_S + settings.exact_s
        if not in_time:
            self._ecu.violations.append(f"W4 was {waited_s * 1000:.1f} ms")
        if in_time and value == settings.key_bytes[1] ^ 0xFF:
            self._later(settings.w4_s, settings.wake_address ^ 0xFF, self._greeted)
        else:
            self._ecu.fall_asleep()

    def _first_key_byte(self) -> None:
        self._later(self._ecu.settings.w2_s, self._ecu.settings.key_bytes[0], self._second_key_byte)

    def _second_key_byte(self) -> None:
        self._later(self._ecu.settings.w3_s, self._ecu.settings.key_bytes[1], self._await_complement)

    def _await_complement(self) -> None:
        said_s = self._said_s = self._loop.time()
        self._loop.call_later(_W4_MOST_S + _BITS / self._ecu.rate_bps + 0.001, self._give_up, said_s)

    def _greeted(self) -> None:
        self._running = False
        self._ecu.greeted()

    def _give_up(self, said_s: float) -> None:
        """Nobody sent the complement."""
        if self._said_s == said_s:
            self._ecu.fall_asleep()

    def _over(self, number: int) -> None:
        """A byte of it was lost, so that nobody was greeted."""
        if self._running and number == self._number:
            self._ecu.fall_asleep()

    def _later(self, wait_s: float, value: int, then: Callable[[], None]) -> None:
        self._loop.call_later(wait_s, self._ecu.say, bytes((value,)), then)
