"""A strict simulated ECU on a K-line: it wakes, hears, answers, and notes what the tester does wrong."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Literal, Protocol

from simulator.ecu.hooks import Mishap, RequestFate, RequestHook
from simulator.kline import carb, framing
from simulator.kline.framing import BrokenError, Heard
from simulator.kline.levels import Edges
from simulator.kline.mishaps import Mishaps
from simulator.kline.reply import Reply
from simulator.kline.settings import KwpEcuSettings, LineTimes
from simulator.kline.wire import KNode, KWire

_BITS = 10
_OBD_FUNCTIONAL = 0x33
_W4_LEAST_S, _W4_MOST_S = 0.025, 0.05
_GREETING_S = 1.5
"""Longer than all of W1 to W4 together."""
_START, _STARTED = 0x81, 0xC1
_NEGATIVE, _BUSY, _PENDING = 0x7F, 0x21, 0x78
_REFUSED, _SESSION, _GOODBYE = b"\x7f\x00\x13", b"\x10", b"\x82"


class Phase(Enum):
    """How far awake it is."""

    ASLEEP = auto()
    GREETING = auto()
    """Between an address at 5 bit/s and the complement of it."""
    AWAKE = auto()


@dataclass(frozen=True, slots=True)
class AnswerFault:
    """What becomes of one answer."""

    kind: Literal["late", "lost", "garbled", "cut"]
    delay_s: float = 0.0


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
        self._mishaps = Mishaps()
        self._working: asyncio.Task[None] | None = None
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
        self._owes: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._greeting: Callable[[int], None] | None = None
        self._greetings = 0

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
        self._then = self._greeting = None
        self._edges.forget()
        for timer in (self._owes, self._idle):
            if timer is not None:
                timer.cancel()
        self._owes = self._idle = self._working = None
        if self.server is not None:
            self.server.line_lost()

    def power_cut(self) -> None:
        """The supply is gone: nothing is heard or said, and what was under way stays half done."""
        self._powered = False
        if self._working is not None:
            self._working.cancel()
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
            self._greetings += 1
            self._loop.call_later(_GREETING_S, self._greeting_over, self._greetings)
            self._loop.call_later(self.settings.w1_s, self._greet)

    def _greeting_over(self, number: int) -> None:
        """A byte of it was lost, so that nobody was greeted."""
        if self.phase is Phase.GREETING and number == self._greetings:
            self.fall_asleep()

    def _greet(self) -> None:
        first, second = self.settings.key_bytes
        self._say(bytes((0x55,)), lambda: self._later(self.settings.w2_s, bytes((first,)), second_byte))

        def second_byte() -> None:
            self._later(self.settings.w3_s, bytes((second,)), await_complement)

        def await_complement() -> None:
            said_s = self._now()
            waiting = self._greeting = lambda value: self._complement(value, said_s)
            self._loop.call_later(_W4_MOST_S + _BITS / self.rate_bps + 0.001, self._give_up, waiting)

    def _complement(self, value: int, said_s: float) -> None:
        waited_s = self._now() - _BITS / self.rate_bps - said_s
        self._greeting = None
        in_time = _W4_LEAST_S - self.settings.exact_s <= waited_s <= _W4_MOST_S + self.settings.exact_s
        if not in_time:
            self.violations.append(f"W4 was {waited_s * 1000:.1f} ms")
        if in_time and value == self.settings.key_bytes[1] ^ 0xFF:
            self._later(self.settings.w4_s, bytes((self.settings.wake_address ^ 0xFF,)), self._awake)
        else:
            self.fall_asleep()

    def _give_up(self, waiting: Callable[[int], None]) -> None:
        """Nobody sent the complement."""
        if self._greeting is waiting:
            self.fall_asleep()

    def _awake(self) -> None:
        self.phase = Phase.AWAKE
        self._greeting = None
        self._rest()

    def _later(self, wait_s: float, data: bytes, then: Callable[[], None]) -> None:
        self._loop.call_later(wait_s, self._say, data, then)

    def _say(self, data: bytes, then: Callable[[], None] | None) -> None:
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
        elif self._greeting is not None:
            self._greeting(value)
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
            self._rest()
            if then is not None:
                then()

    def _rest(self) -> None:
        """The line is the tester's from now on, until P3max."""
        self._quiet_s = self._now()
        if self._idle is not None:
            self._idle.cancel()
        self._idle = None
        if self.phase is Phase.AWAKE:
            self._idle = self._loop.call_later(self.times.p3_max_s, self.fall_asleep)

    def _take(self, value: int, start_s: float) -> None:
        if self._owes is not None or self._working is not None:
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
        self._rest()
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
        if self._spoilt or not self._is_for_me(message) or self.server is None:
            return
        self.requests.append(message.payload)
        fate = (self.request_hook and self.request_hook(message.payload)) or _NO_FATE
        if self.phase is Phase.ASLEEP:
            return  # what struck put it to sleep
        if fate.mishap is Mishap.BUSY:
            reply = Reply(bytes((_NEGATIVE, message.payload[0], _BUSY)))
        elif self._refuses(message):
            reply = Reply(_REFUSED)
        elif message.payload == bytes((_START,)) and not self.settings.iso_9141:
            reply = Reply(bytes((_STARTED, *self.settings.key_bytes)))
        else:
            reply = self.server.answer(message.payload)
        reply = self._mishaps.pendings(reply, fate)
        if reply.pending_s > 0 or reply.pendings:
            self._hold_on(reply, message, fate)
        else:
            self._carry_out(reply, message, fate, 0.0)

    def _hold_on(self, reply: Reply, message: Heard, fate: RequestFate) -> None:
        """78 first, as often as it is wanted."""
        left = max(reply.pendings, 1) - 1
        rest = replace(reply, pendings=left)

        def then() -> None:
            if left:
                self._hold_on(rest, message, fate)
            else:
                self._carry_out(rest, message, fate, reply.pending_s)

        pending = bytes((_NEGATIVE, message.payload[0], _PENDING))
        self._owe(Reply(pending, then), message, self.times.p2_s)

    def _carry_out(self, reply: Reply, message: Heard, fate: RequestFate, after_s: float) -> None:
        """Do what takes time, and answer P2 behind the request at the earliest."""
        work = reply.work
        if work is None:
            self._answer(reply, message, fate, max(after_s, self.times.p2_s))
            return

        async def worked() -> None:
            began_s = self._now()
            done = await work()
            if self._working is task:
                self._working = None
                least_s = max(0.0, self.times.p2_s - (self._now() - began_s))
                self._answer(replace(reply, payload=done, work=None), message, fate, least_s)

        task = self._working = self._loop.create_task(worked())

    def _answer(self, reply: Reply, message: Heard, fate: RequestFate, after_s: float) -> None:
        fated = self._mishaps.answered(message.payload, reply, fate)
        if fated is None:
            self._rest()
            if reply.then is not None:
                reply.then()
        elif fated.payload is not None:
            late_s = fate.delay_s if fate.mishap is Mishap.LATE else 0.0
            self._owe(fated, message, after_s + late_s)

    def _refuses(self, message: Heard) -> bool:
        """While the application of such an ECU runs, a session and a goodbye are all that it hears."""
        if not self.settings.application_refuses or self.in_boot:
            return False
        self.in_boot = message.payload == _GOODBYE
        return message.payload[:1] not in (_SESSION, _GOODBYE)

    def _is_for_me(self, message: Heard) -> bool:
        if self.settings.iso_9141:
            return True
        if self.settings.application_refuses:
            wakes = message.payload == bytes((_START,)) or not self.in_boot
            if (message.target is not None) is not wakes:
                self.violations.append("addresses where there are none, or none where there are")
            return (message.target is not None) is wakes and message.target in (None, self.settings.address)
        forms = self.settings.key_bytes[0]
        addressed, length = (0x08, 0x04)[message.target is None], (0x01, 0x02)[message.length_byte]
        if message.target is not None:
            wanted = _OBD_FUNCTIONAL if message.functional else self.settings.address
            if message.target != wanted:
                return False
        if forms & 0x0F and not (forms & addressed and forms & length):
            self.violations.append("a header that the key bytes do not allow")
            return False
        return True

    def _owe(self, reply: Reply, message: Heard, after_s: float) -> None:
        fault = self.faults.popleft() if self.faults else None
        if fault is not None and fault.kind == "late":
            after_s += fault.delay_s
        self._owes = self._loop.call_later(after_s, self._pay, reply, message, fault)

    def _pay(self, reply: Reply, message: Heard, fault: AnswerFault | None) -> None:
        self._owes = None
        to = message.source if self.settings.answers_with_addresses else None
        then = self._next(reply, message) if reply.more else reply.then
        if reply.payload == _REFUSED and to is not None:
            to = 0x00
        data = self._framing.compose(reply.payload or b"", to, self.settings.address, message.length_byte)
        if fault is not None and fault.kind == "lost":
            self._rest()
            if then is not None:
                then()
            return
        if fault is not None and fault.kind == "garbled":
            data = data[:-1] + bytes((data[-1] ^ 0x40,))
        if fault is not None and fault.kind == "cut":
            data = data[: max(1, len(data) // 2)]
        self._say(data, then)

    def _next(self, reply: Reply, message: Heard) -> Callable[[], None]:
        rest = Reply(reply.more[0], reply.then, more=reply.more[1:])
        return lambda: self._owe(rest, message, self.times.p2_s)
