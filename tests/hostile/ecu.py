"""The hostile ECU as it is heard on the wire: its services, answered as its spite will have it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from tests.hostile.flash import Flash
from tests.hostile.services import RefusedError, Server
from tests.hostile.shapes import CanShape
from tests.hostile.spite import ACT_KINDS, ANSWER_KINDS, Fate, Spite, Traits

Heard = Callable[[bytes], None]

_THINKS_S = 0.001
_PENDING_AFTER_S = 0.04
_PENDING_EVERY_S = 2.0
_BOOT_S = 0.3
_MOST_QUEUED = 8
_QUIET_TO_ALL = frozenset({0x11, 0x12, 0x31, 0x7E, 0x7F})
"""Refusals that are not told to a functional request (ISO 14229-1, 7.5)."""
_VERDICT = bytes.fromhex("7101020200")
"""An answer of yes or no about one block, without an echo of which: told again in another's place, nobody
could know it for a lie."""


class HostileEcu:
    """One ECU on the running loop. Answers go to every listener."""

    def __init__(
        self, shape: CanShape, memory: bytes, traits: Traits, spite: Spite, dice: random.Random
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._shape = shape
        self.flash = Flash(shape, memory)
        self.server = Server(shape, self.flash, traits, dice, self._loop.time)
        self.spite = spite
        self.listeners: list[Heard] = []
        self._queue: deque[tuple[bytes, bool]] = deque()
        self._busy = False
        self._life = 0
        self._alive = True
        self._told: deque[bytes] = deque(maxlen=8)

    @property
    def valid(self) -> bool:
        """Whether the ECU calls its application whole."""
        return self.server.valid

    def hear(self, request: bytes, functional: bool = False) -> None:
        """A request arrived. One after the other, in their order."""
        if not self._alive or not request or len(self._queue) >= _MOST_QUEUED:
            return
        if self._busy and request[0] == 0x3E:
            self.server.heard_s = self._loop.time()  # the session layer hears it though the services are busy
        self._queue.append((request, functional))
        self._next()

    def half_write(self, dice: random.Random) -> None:
        """Some sectors are erased, and some of those programmed again, by a write that was interrupted."""
        for part in self._shape.parts:
            for sector in range(part.start, part.start + part.size, part.sector):
                if part.writable and dice.random() < 0.5:
                    content = self.flash.read(sector, part.sector) or b""
                    self.flash.erase(sector, part.sector, dice.choice((0.5, 1.0)))
                    if dice.random() < 0.7:
                        self.flash.program(sector, content)
        self.server.valid = False
        self.server.restart()

    def restart(self, boot_s: float = _BOOT_S) -> None:
        """A reset, or the supply was gone for a moment."""
        self._life += 1
        self._queue.clear()
        self._busy, self._alive = False, False
        self.server.restart()
        self._loop.call_later(boot_s, self._booted, self._life)

    def _booted(self, life: int) -> None:
        self._alive = self._alive or life == self._life

    def _next(self) -> None:
        if self._queue and not self._busy:
            self._busy = True
            self._loop.call_later(_THINKS_S, self._serve, self._life, *self._queue.popleft())

    def _serve(self, life: int, request: bytes, functional: bool) -> None:
        if life != self._life:
            return
        fate = self.spite.fate(request, (*ANSWER_KINDS, *ACT_KINDS))
        if fate is not None and fate.kind == "session_drop":
            self.server.drop_session()
        if fate is not None and fate.kind == "reset_before":
            self.restart()
            return
        answer = self._answer(request, functional, fate)
        work_s = self.server.work_s
        if fate is not None and fate.kind == "pending":
            self._pend(life, request, fate, answer, functional)
            return
        if work_s > _PENDING_AFTER_S and not functional:
            self._say_pending(life, request, work_s)
        if fate is not None and fate.kind == "late":
            work_s += fate.delay_s
        self._loop.call_later(work_s, self._finish, life, request, answer, fate)

    def _answer(self, request: bytes, functional: bool, fate: Fate | None) -> bytes | None:
        """The bytes an honest ECU would say now, None for silence; the work is done, or not, by the fate."""
        kind = fate.kind if fate else ""
        answer: bytes | None
        self.server.work_s, self.server.wants_reset = 0.0, False
        if fate and kind == "refused":
            answer = bytes((0x7F, request[0], fate.code))
        else:
            answer = self._carried_out(request, fate)
        if fate and kind in ("done_and_refused", "broken_off_refused") and answer and answer[0] != 0x7F:
            answer = bytes((0x7F, request[0], fate.code))
        if functional and answer and answer[0] == 0x7F and answer[2] in _QUIET_TO_ALL:
            return None
        silent = request[0] in (0x10, 0x11, 0x28, 0x31, 0x3E, 0x85) and len(request) > 1 and request[1] & 0x80
        return None if silent and answer and answer[0] != 0x7F else answer

    def _carried_out(self, request: bytes, fate: Fate | None) -> bytes:
        kind = fate.kind if fate else ""
        plain = request
        if request[0] in (0x10, 0x11, 0x28, 0x31, 0x3E, 0x85) and len(request) > 1:
            plain = bytes((request[0], request[1] & 0x7F)) + request[2:]
        server = self.server
        server.share = fate.share if fate and kind in ("broken_off", "broken_off_refused") else 1.0
        if kind == "not_done" and request[0] in (0x31, 0x36):
            server.share = 0.0
        try:
            return server.serve(plain)
        except RefusedError as refused:
            return bytes((0x7F, request[0], refused.code))
        finally:
            server.share = 1.0

    def _finish(self, life: int, request: bytes, answer: bytes | None, fate: Fate | None) -> None:
        if life != self._life:
            return
        wants_reset = self.server.wants_reset and answer is not None and answer[0] != 0x7F
        if fate is not None and fate.kind == "broken_off":
            self.restart()
            return
        if answer is not None:
            self._speak(request, answer, fate)
        if wants_reset or (fate is not None and fate.kind == "reset_after"):
            self.restart()
            return
        if not self.server.traits.s3_by_3e_only:
            self.server.heard_s = self._loop.time()  # S3 begins anew behind each answer (ISO 14229-2, 7.5)
        self._busy = False
        self._next()

    def _speak(self, request: bytes, answer: bytes, fate: Fate | None) -> None:
        said = [answer] if fate is None else self._spoilt(request, answer, fate)
        for one in said:
            self._say(one)
        if fate is not None and fate.kind == "doubled":
            self._loop.call_later(fate.delay_s, self._say, answer)
        self._told.append(answer)

    def _say(self, answer: bytes) -> None:
        for listener in tuple(self.listeners):
            listener(answer)

    def _spoilt(self, request: bytes, answer: bytes, fate: Fate) -> list[bytes]:
        """What is said in the place of an answer."""
        kind, dice = fate.kind, self.spite.dice
        if kind == "lost":
            return []
        if kind == "replayed":
            return [*list(self._told)[-1:], answer]
        if kind == "stale":
            told = [one for one in self._told if one[0] == answer[0] and one != _VERDICT]
            return [dice.choice(told)] if told else []
        return [self._disfigured(request, answer, fate)]

    def _disfigured(self, request: bytes, answer: bytes, fate: Fate) -> bytes:
        kind, dice = fate.kind, self.spite.dice
        if kind == "truncated":
            return answer[: dice.randint(1, max(1, len(answer) - 1))]
        if kind == "oversized":
            return answer + fate.noise
        if kind == "wrong_echo":
            at = dice.randrange(min(len(answer), 4 if request[0] == 0x31 else 2))
            return answer[:at] + bytes((answer[at] ^ dice.randint(1, 255),)) + answer[at + 1 :]
        if kind == "another_service":
            return bytes((dice.randrange(0x41, 0xC0),)) + answer[1:]
        return self._spoilt_by_service(answer, fate)

    def _spoilt_by_service(self, answer: bytes, fate: Fate) -> bytes:
        kind, dice = fate.kind, self.spite.dice
        if kind == "wrong_counter" and answer[0] == 0x76:
            return bytes((0x76, answer[1] + dice.choice((1, 255)) & 0xFF)) + answer[2:]
        if kind == "wrong_length" and answer[0] in (0x74, 0x75):
            return answer[:1] + dice.choice(
                (
                    b"\x20\x00\x00",
                    b"\x20\x00\x02",
                    b"\x20\x00\x03",
                    b"\x20\xff\xff",
                    b"\x40\xff\xff\xff\xff",
                    b"\x00",
                    b"",
                )
            )
        if kind == "status_missing" and answer[0] == 0x71:
            return answer[:4]
        if kind == "status_wrong" and answer[0] == 0x71 and len(answer) > 4:
            return answer[:4] + bytes((dice.randint(1, 255),)) + answer[5:]
        return answer

    def _say_pending(self, life: int, request: bytes, work_s: float) -> None:
        at = _PENDING_AFTER_S
        while at < work_s:
            self._loop.call_later(at, self._pending, life, request)
            at += _PENDING_EVERY_S

    def _pending(self, life: int, request: bytes) -> None:
        if life == self._life:
            self._say(bytes((0x7F, request[0], 0x78)))

    def _pend(self, life: int, request: bytes, fate: Fate, answer: bytes | None, functional: bool) -> None:
        """One 0x78 after the other; at the end the answer, or never one."""
        if life != self._life:
            return
        if functional or answer is None:
            self._finish(life, request, answer, None)
        elif fate.count > 0 and not self.spite.calm:
            self._pending(life, request)
            fewer = replace(fate, count=fate.count - 1)
            pause_s = self.spite.dice.uniform(0.01, 4.0)
            self._loop.call_later(pause_s, self._pend, life, request, fewer, answer, functional)
        else:
            self._finish(life, request, answer, None)
