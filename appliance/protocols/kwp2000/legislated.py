"""OBD-II on a K-line (ISO 9141-2, ISO 14230-4): what any engine controller must tell, definition or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

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
    asking = _Asking(Iso9141Link(line) if iso_9141 else KwpLink(line, _form_for(keys)))
    try:
        pids = await asking.supported(_CURRENT)
        kinds = await asking.supported(_INFORMATION)
        vin = await asking.records(_VIN, _VIN_BYTES) if _VIN in kinds else ()
        calid = await asking.records(_CALID, _CALID_BYTES) if _CALID in kinds else ()
    finally:
        if not iso_9141:  # ISO 9141-2 has no farewell: its session ends after P3max
            await asking.attempt(bytes((_STOP,)))
    told = f"{keys.first:02X} {keys.second:02X}"
    return Legislated(f"{keys.spoken}, woken {how}", told, next(iter(vin), None), pids, calid)


def _form_for(keys: KeyBytes) -> HeaderForm:
    """ISO 14230-4 has the length in the format byte; there are ECUs that take a byte of its own alone."""
    with_length = replace(_FUNCTIONAL, length_byte=True)
    return with_length if keys.takes(with_length) and not keys.takes(_FUNCTIONAL) else _FUNCTIONAL


class _Asking:
    """Questions to everybody: more than one controller may answer, each piece by piece."""

    def __init__(self, link: KwpLink) -> None:
        self._link = link

    async def supported(self, mode: int) -> tuple[int, ...]:
        """Parameters of a mode that anybody offers, from as many masks as there are."""
        found = set[int]()
        for first in range(0, 0x100, _MASK_BITS):
            masks = await self._answers(bytes((mode, first)), lambda heard: len(heard) == 1)
            bits = [int.from_bytes(heard[0][-4:]) for heard in masks]
            for bit in range(1, _MASK_BITS):
                if any(one >> (_MASK_BITS - bit) & 1 for one in bits):
                    found.add(first + bit)
            if not any(one & 1 for one in bits):
                break
        return tuple(sorted(found))

    async def records(self, kind: int, length: int) -> tuple[str, ...]:
        """A record of mode 09 from everybody who has it, of whom each piece came once and in its order."""

        def is_whole(heard: list[bytes]) -> bool:
            return [piece[0] for piece in heard if piece] == list(range(1, -(-length // 4) + 1))

        told = await self._answers(bytes((_INFORMATION, kind)), is_whole)
        texts = (text(b"".join(piece[1:] for piece in pieces)[-length:]) for pieces in told)
        return tuple(one for one in texts if one)

    async def attempt(self, payload: bytes) -> None:
        """Ask, and take whatever comes."""
        try:
            await self._heard(payload)
        except LinkLostError:
            return

    async def _answers(self, payload: bytes, is_whole: Callable[[list[bytes]], bool]) -> list[list[bytes]]:
        """What is behind mode and parameter, from everybody whose answer is whole, by their addresses.

        Nothing where it was refused, or never answered whole.
        """
        whole: dict[int, list[bytes]] = {}
        for _ in range(_ASKED):
            try:
                heard = await self._heard(payload)
            except BrokenMessageError:
                await self._link.settle(_SETTLE_S)
                continue
            answers = _by_sender(heard, payload)
            whole |= {sender: pieces for sender, pieces in answers.items() if is_whole(pieces)}
            refused = any(message.payload[0] == NEGATIVE_SID for message in heard)
            if whole.keys() >= answers.keys() and (whole or refused):
                break
        return [whole[sender] for sender in sorted(whole)]

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


def _by_sender(heard: Iterable[Message], payload: bytes) -> dict[int, list[bytes]]:
    echo = bytes((payload[0] + POSITIVE_OFFSET,)) + payload[1:]
    answers: dict[int, list[bytes]] = {}
    for message in heard:
        if message.payload.startswith(echo):
            answers.setdefault(message.source or 0, []).append(message.payload[len(echo) :])
    return answers
