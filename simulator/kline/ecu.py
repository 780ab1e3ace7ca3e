"""A strict simulated ECU on a K-line: it wakes, hears, answers, and notes what the tester does wrong."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from simulator.ecu.hooks import Mishap, RequestFate, RequestHook
from simulator.kline import carb, framing
from simulator.kline.addressing import START, is_for
from simulator.kline.answering import REFUSED, AnswerFault, Answering, Spoil
from simulator.kline.framing import BrokenError, Heard
from simulator.kline.greeting import Greeting
from simulator.kline.levels import Edges
from simulator.kline.reply import Reply
from simulator.kline.settings import KwpEcuSettings, LineTimes
from simulator.kline.wire import KNode, KWire

_BITS = 10
_STARTED = 0xC1
_NEGATIVE, _BUSY = 0x7F, 0x21
_SESSION, _GOODBYE = b"\x10", b"\x82"


class Phase(Enum):
    """How far awake it is."""

    ASLEEP = auto()
    GREETING = auto()
    """Between an address at 5 bit/s and the complement of it."""
    AWAKE = auto()


class Server(Protocol):
    """Sessions and services behind the line."""

    def answer(self, payload: bytes) -> Reply:
        """To one request."""

    def line_lost(self) -> None:
        """Nobody has asked for P3max, or communication was stopped."""

    def power_lost(self) -> None:
        """In the middle of whatever it did."""


_NO_FATE = RequestFate(Mishap.PENDING)


class KwpEcu:
    """`violations` says, a line each, what the tester did that the standard does not allow."""

    def __init__(self, wire: KWire, settings: KwpEcuSettings, name: str = "ecu") -> None:
        self.settings = settings
        self.times: LineTimes = settings.times
        self.phase = Phase.ASLEEP
        self.violations: list[str] = []
        self.faults: deque[AnswerFault] = deque()
        """For the next answers, one each."""
        self.requests: list[bytes] = []
        self.in_boot = False
        """Where its application refuses to be woken: whether it was left."""
        self.server: Server | None = None
        self.request_hook: RequestHook | None = None
        self._loop = asyncio.get_running_loop()
        self._node: KNode = wire.attach(name, settings.rate_bps)
        self._node.on_byte, self._node.on_level = self._byte, self._level
        self._framing = carb if settings.iso_9141 else framing
        self._edges = Edges(settings.idle_s, self._loop.time() - settings.idle_s, settings.exact_s)
        self._low = False
        self._powered = True
        self._heard = bytearray()
        self._spoilt = False
        self._quiet_s = self._loop.time()
        self._echoes: deque[int] = deque()
        self._then: Callable[[], None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._answering = Answering(self, self.faults)
        self._greeting = Greeting(self)

    @property
    def rate_bps(self) -> int:
        """Now."""
        return self._node.rate_bps

    def set_rate(self, rate_bps: int) -> None:
        """With the next byte."""
        self._node.rate_bps = rate_bps

    def fall_asleep(self) -> None:
        """Forget the session and wait to be woken."""
        self.phase = Phase.ASLEEP
        self.times = self.settings.times
        self._node.rate_bps = self.settings.rate_bps
        self._node.fall_silent()
        self._heard.clear()
        self._echoes.clear()
        self._then = None
        self._greeting.forget()
        self._edges.forget()
        self._answering.forget()
        if self._idle is not None:
            self._idle.cancel()
        self._idle = None
        if self.server is not None:
            self.server.line_lost()

    def power_cut(self) -> None:
        """The supply is gone: nothing is heard or said, and what was under way stays half done."""
        self._powered = False
        self._answering.break_off()
        self.fall_asleep()
        if self.server is not None:
            self.server.power_lost()

    def power_up(self) -> None:
        """The supply is back."""
        self._powered = True
        self._low = False
        self._edges.byte_ended(self._now())

    def _now(self) -> float:
        return self._loop.time()

    def _level(self, low: bool) -> None:
        self._low = low
        if not self._powered:
            return
        if self.phase is not Phase.ASLEEP:
            if low:
                self.violations.append("the line was held low while the ECU is awake")
            return
        now_s = self._now()
        self._edges.note(now_s, low)
        if low and len(self._edges.edges) == 1:
            self._loop.call_later(_BITS * 0.2 - 0.001, self._address_over, now_s)

    def _address_over(self, began_s: float) -> None:
        if not self._edges.edges or self._edges.edges[0][0] != began_s:
            return
        address = self._edges.address(self._now())
        was_idle = self._edges.was_idle
        self._edges.forget()
        if self.phase is not Phase.ASLEEP or "slow" not in self.settings.wakes:
            return
        if not was_idle:
            self.violations.append("woken before the line was idle for W5")
        elif address == self.settings.wake_address:
            self.phase = Phase.GREETING
            self._greeting.begin()

    def greeted(self) -> None:
        """The tester answered the greeting in time."""
        self.phase = Phase.AWAKE
        self.rest()

    def say(self, data: bytes, then: Callable[[], None] | None) -> None:
        """Bytes at P1; `then` once they are out."""
        self._then = then
        self._echoes.extend(data)
        if self.times.p1_s <= 0:
            self._node.send(data)
        else:
            for number, value in enumerate(data):
                wait_s = number * (self.times.p1_s + _BITS / self.rate_bps)
                self._loop.call_later(wait_s, self._node.send, bytes((value,)))

    def _byte(self, value: int) -> None:
        if not self._powered:
            return
        now_s = self._now()
        start_s = now_s - _BITS / self.rate_bps
        if self._echoes:
            self._echo(value)
        elif self._low:
            return
        elif self.phase is Phase.AWAKE:
            self._take(value, start_s)
        elif self._greeting.awaits:
            self._greeting.heard(value)
        elif self.phase is Phase.ASLEEP and "fast" in self.settings.wakes and self._edges.is_pulse(start_s):
            self._edges.forget()
            self.phase = Phase.AWAKE
            self._quiet_s = start_s - self.times.p3_min_s
            self._take(value, start_s)
        self._edges.byte_ended(now_s)

    def _echo(self, value: int) -> None:
        expected = self._echoes.popleft()
        if value != expected:
            self.violations.append(
                f"somebody spoke into the ECU's answer: {value:02X} instead of {expected:02X}"
            )
            self._node.fall_silent()
            self._echoes.clear()
        if not self._echoes:
            then, self._then = self._then, None
            self.rest()
            if then is not None:
                then()

    def rest(self) -> None:
        """The line is the tester's from now on, until P3max."""
        self._quiet_s = self._now()
        if self._idle is not None:
            self._idle.cancel()
        self._idle = None
        if self.phase is Phase.AWAKE:
            self._idle = self._loop.call_later(self.times.p3_max_s, self.fall_asleep)

    def _take(self, value: int, start_s: float) -> None:
        if self._answering.is_due:
            self.violations.append(f"{value:02X} came before the answer that is due")
            return
        gap_s = start_s - self._quiet_s
        if not self._heard:
            self._spoilt = gap_s < self.times.p3_min_s - self.settings.exact_s
            if self._spoilt:
                self.violations.append(f"P3 was {gap_s * 1000:.1f} ms")
        elif (
            not self.times.p4_min_s - self.settings.exact_s
            <= gap_s
            <= self.times.p4_max_s + self.settings.exact_s
        ):
            self.violations.append(f"P4 was {gap_s * 1000:.1f} ms")
            self._spoilt = True
        self._heard.append(value)
        self.rest()
        self._loop.call_later(
            self.times.p4_max_s + _BITS / self.rate_bps + self.settings.exact_s,
            self._cut_off,
            len(self._heard),
            self._now(),
        )
        try:
            length = self._framing.whole_bytes(bytes(self._heard))
            if length is not None and len(self._heard) >= length:
                heard = bytes(self._heard)
                self._heard.clear()
                self._message(self._framing.parse(heard))
        except BrokenError:
            self._heard.clear()

    def _cut_off(self, length: int, since_s: float) -> None:
        if len(self._heard) == length and self._quiet_s == since_s:
            self._heard.clear()

    def _message(self, message: Heard) -> None:
        if self._spoilt or self.server is None or not self._is_for_me(message):
            return
        self.requests.append(message.payload)
        fate = (self.request_hook and self.request_hook(message.payload)) or _NO_FATE
        if self.phase is Phase.ASLEEP:
            return  # what struck put it to sleep
        if fate.mishap is Mishap.BUSY:
            reply = Reply(bytes((_NEGATIVE, message.payload[0], _BUSY)))
        elif self._refuses(message):
            reply = Reply(REFUSED)
        elif message.payload == bytes((START,)) and not self.settings.iso_9141:
            reply = Reply(bytes((_STARTED, *self.settings.key_bytes)))
        else:
            reply = self.server.answer(message.payload)
        self._answering.begin(reply, message, fate)

    def say_answer(
        self, payload: bytes, to: Heard, spoil: Spoil | None, then: Callable[[], None] | None
    ) -> None:
        """Framed as the request was; `then` once it is out."""
        target = to.source if self.settings.answers_with_addresses else None
        if payload == REFUSED and target is not None:
            target = 0x00
        frame = self._framing.compose(payload, target, self.settings.address, to.length_byte)
        self.say(spoil(frame) if spoil is not None else frame, then)

    def _refuses(self, message: Heard) -> bool:
        """While the application of such an ECU runs, a session and a goodbye are all that it hears."""
        if not self.settings.application_refuses or self.in_boot:
            return False
        self.in_boot = message.payload == _GOODBYE
        return message.payload[:1] not in (_SESSION, _GOODBYE)

    def _is_for_me(self, message: Heard) -> bool:
        return is_for(self.settings, message, self.violations, in_boot=self.in_boot)
