"""Whole messages over a K-line, at the times that the standard gives them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.contract.phrases import phrase
from appliance.protocols.access import EcuSilentError, LineFault, LinkLostError
from appliance.protocols.kwp2000.framing import (
    FramingError,
    HeaderForm,
    Message,
    decode,
    encode,
    framed_bytes,
    missing_bytes,
)
from appliance.protocols.kwp2000.timing import HOST_SLACK_S, KwpTiming
from drivers.kline.interface import (
    BITS_PER_BYTE,
    HeldLowError,
    KLine,
    KLineError,
    LineGoneError,
    NoEchoError,
    RateError,
    WrongEchoError,
)

_NOBODY = 0x00
"""To whom an application that refuses to be woken addresses its answer (sources: vw-edc15)."""
_MOST_NOISE_BYTES = 4096
"""A line that says more than this without a pause is not listened to any further."""


class BrokenMessageError(LinkLostError):
    """Bytes came that are no message: some are missing, or a checksum is wrong. The line may be whole."""


class KwpLink:
    """One woken ECU on a line; `form` and `timing` may change between two messages."""

    def __init__(self, line: KLine, form: HeaderForm, timing: KwpTiming | None = None) -> None:
        self.line = line
        self.form = form
        self.timing = timing or KwpTiming()
        self.strangers = 0
        """Bytes and messages so far that were for nobody here, or came unasked."""
        self._quiet_since_s = self._now()

    async def send(self, payload: bytes) -> None:
        """Send a request, P3min after the last message at the earliest. Raises LinkLostError."""
        message = self._encoded(payload)
        await asyncio.sleep(max(0.0, self._quiet_since_s + self.timing.p3_min_s - self._now()))
        with line_errors():
            self.strangers += self.line.discard()
            await self.line.send(message, self.timing.p4_min_s)
        self._quiet_since_s = self._now()

    async def wake_fast(self, payload: bytes) -> None:
        """Send a request behind the pattern of fast initialisation. Raises LinkLostError."""
        with line_errors():
            await self.line.wake_fast(self._encoded(payload), self.timing.p4_min_s)
        self._quiet_since_s = self._now()

    async def receive(self, within_s: float) -> bytes:
        """The payload of the next message for us that begins in time.

        Raises EcuSilentError, BrokenMessageError, LinkLostError.
        """
        return (await self.hear(within_s)).payload

    async def hear(self, within_s: float) -> Message:
        """As `receive`, with its sender."""
        until_s = self._now() + within_s
        while True:
            message = await self._message(until_s)
            self._quiet_since_s = self._now()
            if self._is_ours(message):
                return message
            self.strangers += 1

    async def settle(self, quiet_s: float) -> None:
        """Wait until the line has been silent for so long; what comes meanwhile is dropped.

        Raises BrokenMessageError for a line that does not fall silent, LinkLostError.
        """
        with line_errors():
            self.strangers += self.line.discard()
            for _ in range(_MOST_NOISE_BYTES):
                if not await self.line.receive(1, quiet_s):
                    return
                self.strangers += 1
                self._quiet_since_s = self._now()
        raise BrokenMessageError(phrase("kline.not_silent"))

    def framed_bytes(self, payload_bytes: int) -> int:
        """Bytes on the wire of a message with a payload so long."""
        return framed_bytes(payload_bytes, self.form)

    def _encoded(self, payload: bytes) -> bytes:
        try:
            return encode(payload, self.form)
        except FramingError as error:
            raise LinkLostError(phrase("malformed", technical_text=str(error))) from error

    async def _message(self, until_s: float) -> Message:
        whole = await self._some(1, until_s - self._now())
        if not whole:
            raise EcuSilentError(phrase("kline.no_answer_began"))
        try:
            while missing := self._missing(whole):
                wire_s = missing * BITS_PER_BYTE / self.line.rate_bps
                more = await self._some(missing, wire_s + self.timing.p1_max_s + HOST_SLACK_S)
                if not more:  # one that waited P1max for every byte would let the ECU fall asleep
                    raise FramingError(f"{missing} bytes did not come")
                whole += more
            return self._decoded(whole)
        except FramingError as error:
            raise BrokenMessageError(
                phrase("kline.broken_message", message=_shown(whole), technical_text=str(error))
            ) from error

    @staticmethod
    def _missing(head: bytes) -> int:
        return missing_bytes(head)

    @staticmethod
    def _decoded(whole: bytes) -> Message:
        return decode(whole)

    async def _some(self, count: int, within_s: float) -> bytes:
        with line_errors():
            return await self.line.receive(count, max(within_s, 0.0))

    def _is_ours(self, message: Message) -> bool:
        """One without addresses is; one with them must be for us, and from whom we ask."""
        if message.target is None:
            return True
        form = self.form
        asked = form.target is None or form.functional or message.source == form.target
        return asked and message.target in (form.source, _NOBODY)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


@contextmanager
def line_errors() -> Iterator[None]:
    """Translate what a line raises into what an access raises."""
    try:
        yield
    except KLineError as error:
        raise LinkLostError(phrase("malformed", technical_text=str(error)), _fault_of(error)) from error


_FAULTS: tuple[tuple[type[KLineError], LineFault], ...] = (
    (NoEchoError, LineFault.NO_ECHO),
    (HeldLowError, LineFault.HELD_LOW),
    (WrongEchoError, LineFault.DISTURBED),
    (LineGoneError, LineFault.ADAPTER_GONE),
    (RateError, LineFault.RATE),
)


def _fault_of(error: KLineError) -> LineFault | None:
    return next((fault for kind, fault in _FAULTS if isinstance(error, kind)), None)


def _shown(data: bytes) -> str:
    return data[:12].hex(" ").upper() + (" ..." if len(data) > 12 else "")
