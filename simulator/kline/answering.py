"""What a simulated ECU owes on a K-line: it works, says 78, answers in time, late, garbled or never."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from simulator.ecu.hooks import Mishap, RequestFate
from simulator.kline.framing import Heard
from simulator.kline.mishaps import Mishaps
from simulator.kline.reply import Reply
from simulator.kline.settings import LineTimes

REFUSED = b"\x7f\x00\x13"
"""What an application that refuses says to everything; it goes to address 00."""
_NEGATIVE, _PENDING = 0x7F, 0x78


@dataclass(frozen=True, slots=True)
class AnswerFault:
    """What becomes of one answer."""

    kind: Literal["late", "lost", "garbled", "cut"]
    delay_s: float = 0.0


class Speaker(Protocol):
    """The ECU that answers."""

    times: LineTimes

    def say_answer(self, payload: bytes, to: Heard, spoil: Spoil | None, then: Then | None) -> None:
        """Framed as the request was; `then` once it is out."""

    def rest(self) -> None:
        """The line is the tester's from now on."""


Then = Callable[[], None]
Spoil = Callable[[bytes], bytes]
"""What a fault makes of the bytes of a frame."""


def _garbled(frame: bytes) -> bytes:
    return frame[:-1] + bytes((frame[-1] ^ 0x40,))


def _cut(frame: bytes) -> bytes:
    return frame[: max(1, len(frame) // 2)]


_SPOILS: dict[str, Spoil] = {"garbled": _garbled, "cut": _cut}


class Answering:
    """One request at a time."""

    def __init__(self, ecu: Speaker, faults: deque[AnswerFault]) -> None:
        self._ecu = ecu
        self._faults = faults
        self._mishaps = Mishaps()
        self._loop = asyncio.get_running_loop()
        self._owes: asyncio.TimerHandle | None = None
        self._working: asyncio.Task[None] | None = None

    @property
    def is_due(self) -> bool:
        """Whether an answer is still to come."""
        return self._owes is not None or self._working is not None

    def forget(self) -> None:
        """It fell asleep: nothing is owed, and nobody hears what its work came to."""
        if self._owes is not None:
            self._owes.cancel()
        self._owes = self._working = None

    def break_off(self) -> None:
        """The supply is gone, in the middle of the work."""
        if self._working is not None:
            self._working.cancel()

    def begin(self, reply: Reply, message: Heard, fate: RequestFate) -> None:
        """Work, and answer; 78 first where it was asked for."""
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
        self._owe(Reply(pending, then), message, self._ecu.times.p2_s)

    def _carry_out(self, reply: Reply, message: Heard, fate: RequestFate, after_s: float) -> None:
        """Do what takes time, and answer P2 behind the request at the earliest."""
        work = reply.work
        if work is None:
            self._answer(reply, message, fate, max(after_s, self._ecu.times.p2_s))
            return

        async def worked() -> None:
            began_s = self._loop.time()
            done = await work()
            if self._working is task:
                self._working = None
                least_s = max(0.0, self._ecu.times.p2_s - (self._loop.time() - began_s))
                self._answer(replace(reply, payload=done, work=None), message, fate, least_s)

        task = self._working = self._loop.create_task(worked())

    def _answer(self, reply: Reply, message: Heard, fate: RequestFate, after_s: float) -> None:
        fated = self._mishaps.answered(message.payload, reply, fate)
        if fated is None:
            self._ecu.rest()
            if reply.then is not None:
                reply.then()
        elif fated.payload is not None:
            late_s = fate.delay_s if fate.mishap is Mishap.LATE else 0.0
            self._owe(fated, message, after_s + late_s)

    def _owe(self, reply: Reply, message: Heard, after_s: float) -> None:
        fault = self._faults.popleft() if self._faults else None
        if fault is not None and fault.kind == "late":
            after_s += fault.delay_s
        self._owes = self._loop.call_later(after_s, self._pay, reply, message, fault)

    def _pay(self, reply: Reply, message: Heard, fault: AnswerFault | None) -> None:
        self._owes = None
        then = self._next(reply, message) if reply.more else reply.then
        if fault is not None and fault.kind == "lost":
            self._ecu.rest()
            if then is not None:
                then()
            return
        spoil = _SPOILS.get(fault.kind) if fault is not None else None
        self._ecu.say_answer(reply.payload or b"", message, spoil, then)

    def _next(self, reply: Reply, message: Heard) -> Then:
        rest = Reply(reply.more[0], reply.then, more=reply.more[1:])
        return lambda: self._owe(rest, message, self._ecu.times.p2_s)
