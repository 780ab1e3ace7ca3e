"""The hostile ECU as it is heard on the K-line: woken, asked and answering as its spite will have it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import replace

from tests.hostile.flash import Flash
from tests.hostile.kline.framing import Heard, answer, whole
from tests.hostile.kline.services import RefusedError, Server
from tests.hostile.kline.shapes import LineShape
from tests.hostile.kline.speaking import spoilt
from tests.hostile.kline.spite import ACT_KINDS, ANSWER_KINDS, LineSpite, Traits
from tests.hostile.kline.waking import Waking
from tests.hostile.kline.wire import Wire
from tests.hostile.spite import Fate

_BITS = 10
_P2_S, _P3_MIN_S, _P3_MAX_S, _P4_MAX_S = 0.026, 0.055, 5.0, 0.02
_SLACK_S = 0.005
_BOOT_S = 0.3


class LineEcu:
    """One ECU on the running loop, at the end of a wire."""

    def __init__(
        self, shape: LineShape, memory: bytes, traits: Traits, spite: LineSpite, dice: random.Random
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.shape, self.traits, self.spite = shape, traits, spite
        self.flash = Flash(shape, memory)
        self.server = Server(shape, self.flash, traits, dice, self._loop.time)
        self.wire = Wire(spite, random.Random(dice.random()))
        self.wire.ecu = self
        self.rate = 10_400
        self.awake = False
        self._waking = Waking(self)
        self._buffer = bytearray()
        self._last_s = self._heard_s = self._answered_s = 0.0
        self._too_fast = False
        self._working = False
        self._late: deque[Heard] = deque(maxlen=4)
        self._told: deque[bytes] = deque(maxlen=8)
        self._p2_s, self._p3_s, self._p4_s = _P2_S, _P3_MIN_S, shape.p4_min_s
        self._life = 0
        self._powered = True
        self._storm: tuple[int, int] | None = None

    @property
    def valid(self) -> bool:
        """Whether the ECU calls its application whole."""
        return self.server.valid

    def half_write(self, dice: random.Random) -> None:
        """Some sectors are erased, and some of those programmed again, by a write that was interrupted."""
        spans = [
            (part, sector)
            for part in self.shape.parts
            if part.writable
            for sector in range(part.start, part.start + part.size, part.sector)
        ]
        for part, sector in dice.sample(spans, dice.randint(1, len(spans))):
            content = self.flash.read(sector, part.sector) or b""
            self.flash.erase(sector, part.sector, dice.choice((0.5, 1.0)))
            if dice.random() < 0.7:
                self.flash.program(sector, content)
        self.server.restart()

    def restart(self) -> None:
        """The supply was gone for a moment."""
        self._life += 1
        self._powered = False
        self.server.restart()
        self.sleep()
        self._loop.call_later(_BOOT_S, self._booted, self._life)

    def sleep(self, keeps_program: bool = False) -> None:
        """The channel is over."""
        self.awake, self._working = False, False
        self.rate = 10_400
        self._p2_s, self._p3_s, self._p4_s = _P2_S, _P3_MIN_S, self.shape.p4_min_s
        self._buffer.clear()
        self._late.clear()
        self._storm = None
        self._waking.forget()
        self.server.fall_asleep(keeps_program)

    def rise(self) -> None:
        """It was woken."""
        if self.awake:
            self.sleep()
        self.awake, self._heard_s, self._answered_s = True, self._loop.time(), 0.0

    def _booted(self, life: int) -> None:
        self._powered = self._powered or life == self._life

    # what comes over the wire

    def level(self, low: bool) -> None:
        if self._powered and (not self._is_awake() or self.traits.wakes_again):
            self._waking.level(low)

    def byte(self, value: int, began_s: float) -> None:
        if not self._powered:
            return
        if self._waking.takes(value, began_s):
            return
        if not self._is_awake():
            return
        gap_s = began_s - self._last_s
        self._last_s = self._loop.time()
        if gap_s > _P4_MAX_S + _SLACK_S:
            self._buffer.clear()
        if not self._buffer:
            self._too_fast = began_s - self._answered_s < self._p3_s - 1e-6
        elif gap_s < self._p4_s - 1e-6:
            self._too_fast = True
        self._buffer.append(value)
        self._look()

    def _is_awake(self) -> bool:
        if self.awake and self._loop.time() - self._heard_s > _P3_MAX_S and not self._working:
            self.sleep()
        return self.awake

    def _look(self) -> None:
        try:
            heard = whole(bytes(self._buffer))
        except ValueError:
            return
        if heard is None:
            return
        self._buffer.clear()
        if not self._too_fast and self._is_mine(heard):
            self.hear(heard)

    def _is_mine(self, heard: Heard) -> bool:
        shape = self.shape
        if shape.addressed and (heard.target != shape.address or heard.functional):
            return False
        long = len(heard.payload) > 0x3F
        return heard.own_length == (shape.length_byte or long)

    # what is asked

    def hear(self, heard: Heard) -> None:
        """A request for this ECU."""
        self._heard_s = self._loop.time()
        if self._working:
            if not self.traits.deaf:
                self._late.append(heard)
            return
        self._working = True
        self._serve(heard.payload)

    def _serve(self, request: bytes) -> None:
        fate = self.spite.fate(request, (*ANSWER_KINDS, *ACT_KINDS))
        kind = fate.kind if fate else ""
        if kind == "session_drop":
            self.server.fall_asleep()
        if kind == "reset_before":
            self.restart()
            return
        if fate is not None and kind == "storm":
            self._storm = (fate.count, self.spite.dice.choice((0x21, 0x23, 0x22)))
        said = self._carried_out(request, fate)
        delay_s = self._p2_s + self.server.work_s
        if fate is not None and kind == "pending" and said[0] != 0x7F:
            self._pend(self._life, request, fate, said)
            return
        if fate is not None and kind == "late":
            delay_s += fate.delay_s
        self._loop.call_later(delay_s, self._finish, self._life, request, said, fate)

    def _carried_out(self, request: bytes, fate: Fate | None) -> bytes:
        kind, server = fate.kind if fate else "", self.server
        if fate is not None and kind == "refused":
            return bytes((0x7F, request[0], fate.code))
        if self._storm is not None and not self.spite.calm:
            left, code = self._storm
            self._storm = (left - 1, code) if left > 1 else None
            return bytes((0x7F, request[0], code))
        server.share = fate.share if fate is not None and kind == "broken_off" else 1.0
        if kind == "not_done" and request[0] in (0x31, 0x36):
            server.share = 0.0
        try:
            said = server.serve(request)
        except RefusedError as refused:
            return bytes((0x7F, request[0], refused.code))
        finally:
            server.share = 1.0
        if fate is not None and kind == "done_and_refused":
            return bytes((0x7F, request[0], fate.code))
        return said

    def _finish(self, life: int, request: bytes, said: bytes, fate: Fate | None) -> None:
        if life != self._life or not self.awake:
            return
        kind, server = fate.kind if fate else "", self.server
        if kind == "broken_off":
            self.restart()
            return
        went_well = said[0] != 0x7F
        rate, times, ends = server.new_rate, server.new_times, server.ends and went_well
        if kind == "rate_taken_silently" and rate is not None:
            out_s = 0.0
        else:
            out_s = self._speak(request, said, fate)
        if kind == "reset_after":
            self._loop.call_later(out_s, self.restart)
            return
        if kind == "rate_not_taken":
            rate = None
        keeps = request[0] == 0x10 and ends
        over = ends or (kind == "channel_lost")
        self._loop.call_later(out_s, self._spoken, life, rate if went_well else None, times, over, keeps)

    def _spoken(self, life: int, rate: int | None, times: bytes | None, over: bool, keeps: bool) -> None:
        """The answer is out: what it announced is in force."""
        if life != self._life or not self.awake:
            return
        self._answered_s = self._heard_s = self._loop.time()
        self._working = False
        if over:
            self.sleep(keeps)
            return
        if rate is not None:
            self.rate = rate
        if times is not None:
            self._p2_s, self._p3_s, self._p4_s = _P2_S, _P3_MIN_S, self.shape.p4_min_s
        if times:
            self._p2_s, self._p3_s, self._p4_s = times[0] * 0.0005, times[2] * 0.0005, times[4] * 0.0005
        if self._late:
            self._working = True
            self._serve(self._late.popleft().payload)

    # what is said

    def say(self, data: bytes, gap_s: float | None = None) -> float:
        """Bytes onto the wire; seconds until they are out."""
        gap = self.traits.p1_s if gap_s is None else gap_s
        return self.wire.say(data, self.rate, gap, self.traits.bursts)

    def framed(self, payload: bytes) -> bytes:
        """As an honest one frames it."""
        shape = self.shape
        return answer(payload, shape.address if shape.addressed else None, shape.length_byte)

    def _speak(self, request: bytes, said: bytes, fate: Fate | None) -> float:
        out_s = 0.0
        if fate is None:
            out_s = self.say(self.framed(said))
        else:
            for data, gap_s in spoilt(self, said, fate, list(self._told)):
                out_s = self.say(data, gap_s)
        if fate is not None and fate.kind == "doubled":
            self._loop.call_later(fate.delay_s + out_s, self._again, self._life, self.framed(said))
        self._told.append(said)
        return max(out_s, 0.0)

    def _again(self, life: int, data: bytes) -> None:
        if life == self._life and self.awake:
            self.say(data)

    def _pend(self, life: int, request: bytes, fate: Fate, said: bytes) -> None:
        """One 78 after the other; at the end the answer, or never one."""
        if life != self._life or not self.awake:
            return
        self._heard_s = self._loop.time()
        if fate.count > 0 and not self.spite.calm:
            self.say(self.framed(bytes((0x7F, request[0], 0x78))))
            pause_s = self.spite.dice.uniform(0.1, 4.8)
            fewer = replace(fate, count=fate.count - 1)
            self._loop.call_later(pause_s, self._pend, life, request, fewer, said)
        else:
            self._finish(life, request, said, None)
