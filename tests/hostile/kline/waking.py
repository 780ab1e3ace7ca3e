"""How the ECU is woken: by an address at 5 bit/s, or by a pulse and 81 (ISO 14230-2, 5.2.4)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from tests.hostile.kline.framing import whole
from tests.hostile.kline.shapes import LineShape
from tests.hostile.kline.spite import LineSpite, Traits
from tests.hostile.spite import Fate

_BIT_S = 0.2
_W1_S, _W2_S, _W3_S, _W4_S = 0.1, 0.008, 0.008, 0.03
_W4_MOST_S = 0.1
_LOW_S, _WHOLE_S, _OFF_S = 0.025, 0.05, 0.001
_SYNCH = 0x55
_STARTED, _START = 0xC1, 0x81


class Sleeper(Protocol):
    """Who is woken."""

    shape: LineShape
    traits: Traits
    spite: LineSpite

    def rise(self) -> None:
        """It was woken."""

    def say(self, data: bytes, gap_s: float | None = None) -> float:
        """Bytes onto the wire; seconds until they are out."""

    def framed(self, payload: bytes) -> bytes:
        """As an honest one frames it."""


class Waking:
    """Levels and the first bytes."""

    def __init__(self, ecu: Sleeper) -> None:
        self._ecu = ecu
        self._loop = asyncio.get_running_loop()
        self._edges: list[tuple[float, bool]] = []
        self._decoding = False
        self._pulsed_s: float | None = None
        self._first = bytearray()
        self._confirms_until_s = 0.0
        self._fate: Fate | None = None
        self._turn = 0
        self._keys = (0, 0)

    def forget(self) -> None:
        """The supply was gone, or the channel ended."""
        self._edges.clear()
        self._decoding, self._pulsed_s, self._confirms_until_s = False, None, 0.0
        self._turn += 1

    def level(self, low: bool) -> None:
        """Somebody holds the wire low, or lets go."""
        now_s = self._loop.time()
        self._edges.append((now_s, low))
        if self._ecu.shape.wake == "slow":
            if low and not self._decoding:
                self._edges, self._decoding = [(now_s, low)], True
                self._loop.call_later(9.5 * _BIT_S, self._decode, self._turn, now_s)
        elif not low and len(self._edges) > 1:
            low_s = now_s - self._edges[-2][0]
            self._pulsed_s = self._edges[-2][0] if abs(low_s - _LOW_S) <= _OFF_S else None
            self._first.clear()

    def takes(self, value: int, began_s: float) -> bool:
        """Whether a byte belongs to a wake-up."""
        if self._pulsed_s is not None:
            self._after_pulse(value, began_s)
            return True
        if self._loop.time() < self._confirms_until_s:
            self._confirm(value)
            return True
        return False

    def _decode(self, turn: int, began_s: float) -> None:
        self._decoding = False
        if turn != self._turn:
            return
        bits = [self._high(began_s + (number + 0.5) * _BIT_S) for number in range(1, 9)]
        if sum(bit << at for at, bit in enumerate(bits)) != self._sent:
            return
        self._fate = fate = self._ecu.spite.at_wake()
        kind = fate.kind if fate else ""
        if kind in ("wake_unheard", "wake_refused"):
            return
        after_s = _W1_S + 0.5 * _BIT_S + (fate.delay_s if fate and kind == "wake_late" else 0.0)
        self._loop.call_later(after_s, self._tell_keys, self._turn)

    @property
    def _sent(self) -> int:
        """The address with the parity that it is sent with."""
        address, parity = self._ecu.shape.address, self._ecu.shape.parity
        if parity == "none":
            return address
        odd = bin(address & 0x7F).count("1") % 2
        return address & 0x7F | (0x80 if odd == (parity == "even") else 0)

    def _high(self, at_s: float) -> bool:
        low = False
        for when_s, held in self._edges:
            if when_s <= at_s:
                low = held
        return not low

    def _tell_keys(self, turn: int) -> None:
        if turn != self._turn:
            return
        kind, dice, keys = self._kind, self._ecu.spite.dice, self._ecu.shape.keys
        self._ecu.say(bytes((dice.randrange(256) if kind == "wrong_synch" else _SYNCH,)))
        told = (dice.randrange(256), dice.choice((0x8F, 0x08, 0x0A, dice.randrange(256))))
        first, second = told if kind == "wrong_keys" else keys
        self._loop.call_later(_W2_S, self._ecu.say, bytes((first,)))
        if kind == "keys_lost":
            return
        self._loop.call_later(_W2_S + _W3_S, self._ecu.say, bytes((second,)))
        self._confirms_until_s = self._loop.time() + _W2_S + _W3_S + _W4_MOST_S
        self._keys = (first, second)

    def _confirm(self, value: int) -> None:
        if value != self._keys[1] ^ 0xFF:
            return
        self._confirms_until_s = 0.0
        wrong = self._kind == "wrong_confirmation"
        said = self._ecu.spite.dice.randrange(256) if wrong else self._sent ^ 0xFF
        self._loop.call_later(_W4_S, self._rise, self._turn, bytes((said,)))

    def _rise(self, turn: int, said: bytes) -> None:
        if turn == self._turn:
            self._ecu.rise()
            self._ecu.say(said)

    def _after_pulse(self, value: int, began_s: float) -> None:
        if not self._first and abs(began_s - (self._pulsed_s or 0.0) - _WHOLE_S) > _OFF_S:
            self._pulsed_s = None
            return
        self._first.append(value)
        try:
            heard = whole(bytes(self._first))
        except ValueError:
            self._pulsed_s = None
            return
        if heard is None:
            return
        self._pulsed_s = None
        shape = self._ecu.shape
        if heard.payload != bytes((_START,)) or heard.target not in (None, shape.address):
            return
        self._fate = fate = self._ecu.spite.at_wake()
        if self._kind == "wake_unheard":
            return
        delay_s = 0.026 + (fate.delay_s if fate and fate.kind == "wake_late" else 0.0)
        self._loop.call_later(delay_s, self._started, self._turn)

    def _started(self, turn: int) -> None:
        if turn != self._turn:
            return
        kind, dice, keys = self._kind, self._ecu.spite.dice, self._ecu.shape.keys
        if kind == "wake_refused":
            self._ecu.say(self._ecu.framed(b"\x7f\x00\x13"))
            return
        if kind == "wrong_keys":
            keys = (dice.randrange(256), dice.choice((0x8F, 0x08, 0x0A, dice.randrange(256))))
        said = bytes((_STARTED, *keys))
        if kind in ("wrong_synch", "wrong_confirmation"):
            said = bytes((dice.randrange(256),)) + said[1:]
        self._ecu.rise()
        self._ecu.say(self._ecu.framed(said if kind != "keys_lost" else said[:2]))

    @property
    def _kind(self) -> str:
        return self._fate.kind if self._fate else ""
