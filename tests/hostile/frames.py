"""The hostile ECU on a bus of frames: an ISO-TP of its own (ISO 15765-2), with a spite of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.can.interface import CanBusGoneError, CanFrame
from simulator.bus import SimBus
from tests.hostile.ecu import HostileEcu
from tests.hostile.shapes import CanShape
from tests.hostile.spite import HEARING_KINDS, SPEAKING_KINDS, Fate

_REQUEST, _RESPONSE, _FUNCTIONAL = 0x7E0, 0x7E8, 0x7DF
_FD_LENGTHS = (8, 12, 16, 20, 24, 32, 48, 64)
_N_BS_S = 1.0
_MOST_TRICKLED = 8000
_STMINS = (0x00, 0x01, 0x14, 0x7F, 0x80, 0xF1, 0xF9, 0xFA, 0xFF)


@dataclass(slots=True)
class Hearing:
    """A payload on its way in."""

    length: int
    data: bytearray
    number: int
    block: int
    left_in_block: int


@dataclass(slots=True)
class Speaking:
    """A payload on its way out: the frames behind the first one."""

    frames: deque[bytes]
    gap_s: float | None = None
    """Own pause between two frames, None for the one the tester asks for."""
    going: bool = False
    left: int = 0
    tester_gap_s: float = 0.0
    given_up: asyncio.TimerHandle | None = field(default=None)


class FrameNode:
    """Joins an ECU to a bus."""

    def __init__(self, ecu: HostileEcu, bus: SimBus, shape: CanShape) -> None:
        self._ecu, self._spite = ecu, ecu.spite
        self._loop = asyncio.get_running_loop()
        self._port = bus.attach("ecu")
        self._fd = shape.fd
        self._extensions = shape.extension
        self._room = (64 if shape.fd else 8) - (shape.extension is not None)
        self._hearing: Hearing | None = None
        self._speaking: Speaking | None = None
        self._waiting: deque[bytes] = deque()
        self._port.subscribe(self._on_frame, frozenset({_REQUEST, _FUNCTIONAL}))
        ecu.listeners.append(self._say)

    # What is heard

    def _on_frame(self, frame: CanFrame) -> None:
        data = frame.data
        if self._extensions is not None:
            if data[:1] != bytes(self._extensions[:1]):
                return
            data = data[1:]
        if not data:
            return
        kind = data[0] >> 4
        if kind == 0:
            length, at = (data[1], 2) if not data[0] & 0x0F and len(data) > 8 else (data[0] & 0x0F, 1)
            self._hearing = None
            self._ecu.hear(data[at : at + length], frame.can_id == _FUNCTIONAL)
        elif kind == 1:
            self._on_first(data)
        elif kind == 2:
            self._on_consecutive(data)
        elif kind == 3:
            self._on_flow_control(data)

    def _on_first(self, data: bytes) -> None:
        length, at = (data[0] & 0x0F) << 8 | data[1], 2
        if not length:
            length, at = int.from_bytes(data[2:6]), 6
        fate = self._spite.fate(bytes((0x36,)), HEARING_KINDS)
        kind = fate.kind if fate else ""
        dice = self._spite.dice
        block = dice.choice((1, 2, 8, 255)) if kind == "fc_block" else 0
        stmin = dice.choice(_STMINS) if kind == "fc_stmin" else 0
        self._hearing = Hearing(length, bytearray(data[at:]), 1, block, block)
        clear = bytes((0x30, block, stmin))
        if fate and kind in ("fc_wait", "fc_wait_for_ever"):
            self._wait_first(fate, clear, fate.count if kind == "fc_wait" else _MOST_TRICKLED)
        elif kind == "fc_overflow":
            self._hearing = None
            self._send(b"\x32\x00\x00")
        elif kind == "fc_none":
            self._hearing = None
        elif kind == "fc_odd":
            odd = dice.choice((b"\x35\x00\x00", b"\x30", b"\x3f\xff\xff", b"\x30\x00"))
            self._send(odd, padded=self._fd)
        else:
            for _ in range(2 if kind == "fc_twice" else 1):
                self._send(clear)

    def _wait_first(self, fate: Fate, clear: bytes, left: int) -> None:
        if self._hearing is None:
            return
        if left <= 0 or self._spite.calm:
            self._send(clear)
            return
        self._send(b"\x31\x00\x00")
        self._loop.call_later(0.05 + 0.1 * len(fate.noise), self._wait_first, fate, clear, left - 1)

    def _on_consecutive(self, data: bytes) -> None:
        hearing = self._hearing
        if hearing is None:
            return
        if data[0] & 0x0F != hearing.number:
            self._hearing = None
            return
        hearing.number = (hearing.number + 1) & 0x0F
        hearing.data += data[1:]
        if len(hearing.data) >= hearing.length:
            self._hearing = None
            self._ecu.hear(bytes(hearing.data[: hearing.length]))
        elif hearing.block:
            hearing.left_in_block -= 1
            if not hearing.left_in_block:
                hearing.left_in_block = hearing.block
                self._send(bytes((0x30, hearing.block, 0)))

    # What is said

    def _say(self, payload: bytes) -> None:
        self._waiting.append(payload)
        self._say_next()

    def _say_next(self) -> None:
        if self._speaking is not None or not self._waiting:
            return
        payload = self._waiting.popleft()
        fate = self._spite.fate(b"\x22", SPEAKING_KINDS)
        kind = fate.kind if fate else ""
        if kind == "ff_huge":
            self._speaking = self._trickle(payload)
            return
        if len(payload) <= min(7, self._room - 1) or (self._fd and len(payload) <= self._room - 2):
            self._single(payload, kind)
            self._say_next()
            return
        if kind == "ff_short":
            self._send(bytes((0x10, 3)) + payload[: self._room - 2])
        self._begin(payload, kind)

    def _single(self, payload: bytes, kind: str) -> None:
        head = bytes((len(payload),)) if len(payload) <= 7 else bytes((0, len(payload)))
        if kind == "sf_zero":
            head = b"\x00"
        elif kind == "sf_long":
            head = b"\x0f"
        self._send(head + payload)

    def _begin(self, payload: bytes, kind: str) -> None:
        first, rest = payload[: self._room - 2], payload[self._room - 2 :]
        step, dice = self._room - 1, self._spite.dice
        frames = [rest[at : at + step] for at in range(0, len(rest), step)]
        numbered = [bytes((0x20 | (n + 1) & 0x0F,)) + part for n, part in enumerate(frames)]
        at = dice.randrange(len(numbered))
        if kind == "cf_wrong_number":
            numbered[at] = bytes((0x20 | dice.randrange(16),)) + numbered[at][1:]
        elif kind == "cf_missing":
            del numbered[at]
        elif kind == "cf_doubled":
            numbered.insert(at, numbered[at])
        elif kind == "cf_short" and at < len(numbered) - 1:  # the last one would be filled up again
            numbered[at] = numbered[at][: dice.randint(1, 3)]
        elif kind == "sf_between":
            numbered.insert(at, bytes((3, 0x7F, dice.choice((0x22, 0x23, 0x36)), 0x78)))
        self._speaking = Speaking(deque(numbered), dice.uniform(0.3, 0.95) if kind == "cf_trickled" else None)
        self._speaking.given_up = self._loop.call_later(_N_BS_S, self._give_up, self._speaking)
        self._send(bytes((0x10 | len(payload) >> 8, len(payload) & 0xFF)) + first)

    def _trickle(self, payload: bytes) -> Speaking:
        """A first frame of 4 GiB, and then a frame now and then, as long as somebody listens."""
        filler = bytes(self._room - 1)
        speaking = Speaking(
            deque(bytes((0x20 | (n + 1) & 0x0F,)) + filler for n in range(_MOST_TRICKLED)), 0.5
        )
        speaking.given_up = self._loop.call_later(_N_BS_S, self._give_up, speaking)
        self._send(b"\x10\x00\xff\xff\xff\xff" + payload[:1].ljust(self._room - 6, b"\x00"))
        return speaking

    def _on_flow_control(self, data: bytes) -> None:
        speaking = self._speaking
        if speaking is None:
            return
        if data[0] & 0x0F == 2:
            self._give_up(speaking)
        elif data[0] & 0x0F == 0 and len(data) >= 3:
            speaking.left = data[1] or -1
            speaking.tester_gap_s = data[2] / 1000 if data[2] <= 0x7F else 0.0
            if not speaking.going:
                speaking.going = True
                self._speak_on(speaking)

    def _speak_on(self, speaking: Speaking) -> None:
        if speaking is not self._speaking:
            return
        if not speaking.frames or (speaking.gap_s == 0.5 and self._spite.calm):
            self._give_up(speaking)
        elif not speaking.left:
            speaking.going = False
        else:
            speaking.left -= 1
            if speaking.given_up is not None:
                speaking.given_up.cancel()
                speaking.given_up = None
            gap_s = speaking.tester_gap_s if speaking.gap_s is None else speaking.gap_s
            frame = speaking.frames.popleft()
            whole = len(frame) == self._room or not speaking.frames
            self._send(frame, lambda: self._later(gap_s, speaking), padded=whole)

    def _later(self, gap_s: float, speaking: Speaking) -> None:
        if gap_s:
            self._loop.call_later(gap_s, self._speak_on, speaking)
        else:
            self._speak_on(speaking)

    def _give_up(self, speaking: Speaking) -> None:
        """All is said, or nobody listens."""
        if speaking is self._speaking:
            self._speaking = None
            self._say_next()

    def _send(self, pci: bytes, on_sent: Callable[[], None] | None = None, *, padded: bool = True) -> None:
        if self._extensions is not None:
            pci = bytes(self._extensions[1:]) + pci
        size = max(8, len(pci)) if not self._fd else next(n for n in _FD_LENGTHS if n >= len(pci))
        data = pci.ljust(size, b"\xaa") if padded else pci
        try:
            self._port.send(CanFrame(_RESPONSE, data, False, self._fd, self._fd), on_sent)
        except CanBusGoneError:
            self._speaking = None
