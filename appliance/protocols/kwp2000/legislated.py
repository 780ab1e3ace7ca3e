"""OBD-II on a K-line (ISO 9141-2, ISO 14230-4): what any engine controller must tell, definition or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from appliance.protocols.access import EcuSilentError, LinkLostError
from appliance.protocols.kwp2000.framing import HeaderForm, Message
from appliance.protocols.kwp2000.iso9141 import Iso9141Link
from appliance.protocols.kwp2000.keybytes import KeyBytes, Spoken
from appliance.protocols.kwp2000.link import BrokenMessageError, KwpLink, line_errors
from appliance.protocols.kwp2000.refusals import PENDING
from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.kwp2000.waking import (
    SlowWake,
    several_tries,
    wake_fast,
    wake_slowly,
)
from appliance.protocols.ports import CarInterface
from appliance.protocols.readable import text
from appliance.protocols.registry import Legislated
from appliance.protocols.request import NEGATIVE_SID, POSITIVE_OFFSET
from drivers.kline.interface import KLine

EVERYBODY = 0x33
RATE_BPS = 10_400
_FUNCTIONAL = HeaderForm(EVERYBODY, functional=True)
_SPOKEN = frozenset((Spoken.ISO9141_2, Spoken.KWP2000))
_WAKE_TRIES = 2
_ASKED = 3
"""So often each question whose answer is missing or broken."""
_SETTLE_S = 0.1
_CURRENT, _INFORMATION, _STOP = 0x01, 0x09, 0x82
_VIN, _CALID = 0x02, 0x04
_VIN_BYTES, _CALID_BYTES = 17, 16
_MASK_BITS = 32


async def survey(car: CarInterface) -> Legislated | None:
    """Woken by 33 at 5 bit/s, else by a pulse; None where nobody wakes. Raises WakeError, PitboxError."""
    line = car.kline()
    try:
        return await survey_of(line)
    finally:
        line.close()


async def survey_of(line: KLine) -> Legislated | None:
    """As `survey`, on a line that is open."""
    with line_errors():
        line.set_rate(RATE_BPS)
    slow = SlowWake(EVERYBODY)
    keys = await _woken(lambda: wake_slowly(line, slow, spoken=_SPOKEN))
    if keys is not None:
        return await _told(line, keys, "by 5 bit/s")
    keys = await _woken(lambda: wake_fast(line, _FUNCTIONAL, KwpTiming()))
    return None if keys is None else await _told(line, keys, "by a pulse")


async def _woken(wake: Callable[[], Awaitable[KeyBytes]]) -> KeyBytes | None:
    """None for silence; one that speaks something else says so every time. Raises LinkLostError."""
    try:
        return await several_tries(wake, _WAKE_TRIES)
    except EcuSilentError:
        return None


async def _told(line: KLine, keys: KeyBytes, how: str) -> Legislated:
    iso_9141 = keys.spoken is Spoken.ISO9141_2
    asking = _Asking(Iso9141Link(line) if iso_9141 else KwpLink(line, _FUNCTIONAL))
    try:
        pids = await asking.supported(_CURRENT)
        kinds = await asking.supported(_INFORMATION)
        vin = await asking.record(_VIN, _VIN_BYTES) if _VIN in kinds else None
        calid = await asking.record(_CALID, _CALID_BYTES) if _CALID in kinds else None
    finally:
        if not iso_9141:  # ISO 9141-2 has no farewell: its session ends after P3max
            await asking.attempt(bytes((_STOP,)))
    return Legislated(
        f"{keys.spoken}, woken {how}",
        f"{keys.first:02X} {keys.second:02X}",
        vin,
        pids,
        () if calid is None else (calid,),
    )


class _Asking:
    """Questions to everybody. Whoever answers first is the one that is listened to."""

    def __init__(self, link: KwpLink) -> None:
        self._link = link
        self._ecu: int | None = None

    async def supported(self, mode: int) -> tuple[int, ...]:
        """Parameters of a mode, from as many masks as there are; none where it is not offered."""
        found: list[int] = []
        first = 0
        while True:
            masks = await self._answers(bytes((mode, first)), lambda heard: len(heard) == 1)
            if masks is None:
                return tuple(found)
            bits = int.from_bytes(masks[0][-4:])
            found += [first + bit for bit in range(1, _MASK_BITS) if bits >> (_MASK_BITS - bit) & 1]
            if not bits & 1 or first + _MASK_BITS > 0xFF:
                return tuple(found)
            first += _MASK_BITS

    async def record(self, kind: int, length: int) -> str | None:
        """A record of mode 09, put together from its numbered pieces; None unless each came once."""

        def is_whole(heard: list[bytes]) -> bool:
            numbers = [piece[0] for piece in heard if piece]
            return numbers == list(range(1, -(-length // 4) + 1))

        pieces = await self._answers(bytes((_INFORMATION, kind)), is_whole)
        if pieces is None:
            return None
        return text(b"".join(piece[1:] for piece in pieces)[-length:]) or None

    async def attempt(self, payload: bytes) -> None:
        """Ask, and take whatever comes."""
        try:
            await self._heard(payload)
        except LinkLostError:
            return

    async def _answers(self, payload: bytes, is_whole: Callable[[list[bytes]], bool]) -> list[bytes] | None:
        """What is behind mode and parameter; None where it was refused, or not answered whole."""
        for _ in range(_ASKED):
            try:
                heard = await self._heard(payload)
            except BrokenMessageError:
                await self._link.settle(_SETTLE_S)
                continue
            answers = list(self._of_one(heard, payload))
            if is_whole(answers):
                return answers
            if any(message.payload[0] == NEGATIVE_SID for message in heard):
                return None
        return None

    def _of_one(self, heard: Iterable[Message], payload: bytes) -> Iterable[bytes]:
        echo = bytes((payload[0] + POSITIVE_OFFSET,)) + payload[1:]
        for message in heard:
            if message.payload.startswith(echo) and self._ecu in (None, message.source):
                self._ecu = message.source
                yield message.payload[len(echo) :]

    async def _heard(self, payload: bytes) -> list[Message]:
        """Every answer until nobody says more. Raises LinkLostError."""
        timing, heard = self._link.timing, list[Message]()
        await self._link.send(payload)
        within_s = timing.first_answer_s
        while True:
            try:
                message = await self._link.hear(within_s)
            except EcuSilentError:
                return heard
            if message.payload[0] == NEGATIVE_SID and message.payload[-1] == PENDING:
                within_s = timing.pending_answer_s
            else:
                heard.append(message)
                within_s = timing.first_answer_s
