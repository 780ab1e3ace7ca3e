"""Wakes an ECU on a K-line: by an address at 5 bit/s, or by a pulse (ISO 14230-2, 5.2.4; ISO 9141-2, 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.protocols.access import EcuSilentError, LineFault, LinkLostError
from appliance.protocols.kwp2000.framing import HeaderForm
from appliance.protocols.kwp2000.keybytes import KeyBytes, Spoken
from appliance.protocols.kwp2000.link import KwpLink, line_errors
from appliance.protocols.kwp2000.timing import HOST_SLACK_S, KwpTiming
from drivers.kline.interface import KLine

T = TypeVar("T")

IDLE_S = 0.3
"""W5: so long the line is silent before it is woken."""
AGAIN_S = 2.6
"""Between two tries: an ECU that was half woken has given up by then (sources: kline-wakeup)."""
TRIES = 3
_SYNCH = 0x55
_START_BIT_ALONE = b"\xff"
_W1_S, _W2_S, _W3_S = 0.45, 0.02, 0.02
"""Longest to the synch byte (the standard has 0.3 s; sources: kline-wakeup), and to each key byte."""
_W4_S, _W4_MOST_S = 0.03, 0.05
"""Ours before the complement of the second key byte (25 to 50 ms); the ECU's before that of the address."""
_KWP2000 = frozenset((Spoken.KWP2000,))
_REFUSED = b"\x7f\x00\x13"
_START_COMMUNICATION, _STARTED = 0x81, 0xC1


class WakeError(LinkLostError):
    """The ECU did not wake up as it should; a byte that went wrong on the line is the usual cause."""


class StrangeKeyBytesError(WakeError):
    """It woke up, and says that it speaks something else."""

    fault = LineFault.OTHER_PROTOCOL


class ApplicationRunsError(WakeError):
    """It is there, and refused the wake-up: its application runs."""


@dataclass(frozen=True, slots=True)
class SlowWake:
    """An address at 5 bit/s."""

    address: int
    parity: Literal["none", "odd", "even"] = "none"
    """Of seven bits, in the eighth; none where all eight are the address."""

    @property
    def sent(self) -> int:
        """The eight bits on the wire."""
        if self.parity == "none":
            return self.address
        ones = (self.address & 0x7F).bit_count()
        return self.address & 0x7F | (0x80 if (ones % 2 == 0) == (self.parity == "odd") else 0)


def require_spoken(keys: KeyBytes, spoken: frozenset[Spoken]) -> None:
    """Raises StrangeKeyBytesError."""
    if keys.spoken not in spoken:
        raise StrangeKeyBytesError(phrase("kline.speaks_other", keys=str(keys), spoken=tuple(sorted(spoken))))


async def wake_slowly(
    line: KLine, wake: SlowWake, idle_s: float = IDLE_S, spoken: frozenset[Spoken] = _KWP2000
) -> KeyBytes:
    """The key bytes of the ECU at that address.

    One that speaks anything but `spoken` is not confirmed, so that it falls asleep again. Raises WakeError,
    EcuSilentError, LinkLostError.
    """
    await asyncio.sleep(idle_s)
    with line_errors():
        line.discard()
        await line.wake(wake.sent)
        if await _synch_byte(line) != _SYNCH:
            raise WakeError(phrase("kline.no_synch"))
        first = await _byte(line, _W2_S, phrase("kline.no_first_key_byte"))
        second = await _byte(line, _W3_S, phrase("kline.no_second_key_byte"))
        require_spoken(KeyBytes(first, second), spoken)
        await asyncio.sleep(_W4_S)
        await line.send(bytes((second ^ 0xFF,)))
        answered = await _byte(line, _W4_MOST_S, phrase("kline.not_confirmed"))
    if answered != wake.sent ^ 0xFF:
        raise WakeError(phrase("kline.confirmed_other", answered=answered ^ 255, address=wake.sent))
    return KeyBytes(first, second)


async def wake_fast(line: KLine, form: HeaderForm, timing: KwpTiming, idle_s: float = IDLE_S) -> KeyBytes:
    """Pulse and StartCommunication; the key bytes of the answer.

    Raises WakeError, EcuSilentError, LinkLostError.
    """
    link = KwpLink(line, form, timing)
    await link.settle(idle_s)
    await link.wake_fast(bytes((_START_COMMUNICATION,)))
    answer = await link.receive(timing.first_answer_s)
    if answer == _REFUSED:
        raise ApplicationRunsError(phrase("kline.application_runs"))
    if len(answer) != 3 or answer[0] != _STARTED:
        raise WakeError(phrase("kline.wake_answered", answer=answer.hex(" ").upper()))
    keys = KeyBytes(answer[1], answer[2])
    require_spoken(keys, _KWP2000)
    return keys


async def several_tries(wake: Callable[[], Awaitable[T]], tries: int = TRIES) -> T:
    """Wake again, after a pause, whoever did not; the last failure is raised."""
    for _ in range(tries - 1):
        try:
            return await wake()
        except ApplicationRunsError:
            raise
        except (EcuSilentError, LinkLostError):
            await asyncio.sleep(AGAIN_S)
    return await wake()


async def _synch_byte(line: KLine) -> int:
    """A level that was held has no echo: where nobody answers, a start bit tells whether the line works."""
    try:
        return await _byte(line, _W1_S, phrase("kline.no_answer_to_wake"))
    except EcuSilentError:
        await line.send(_START_BIT_ALONE)
        raise


async def _byte(line: KLine, within_s: float, missing: Phrase) -> int:
    got = await line.receive(1, within_s + HOST_SLACK_S)
    if not got:
        raise EcuSilentError(missing)
    return got[0]
