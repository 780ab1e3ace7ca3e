"""Requests and answers on one link, and whether they are still in step.

An ECU answers in the order it was asked, and most answers repeat what they answer. Those of 0x23 do not, nor
do those of routines tell which block was meant: after one doubled frame or answer each of them would be taken
for the next one's. So whatever arrives beyond the answers that are due is counted, and a probe, a question
whose answer looks like no other, shows that nothing is left over between it and the request before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from appliance.contract.phrases import phrase
from appliance.protocols.access import (
    AccessError,
    EcuRefusedError,
    EcuSilentError,
    LinkLostError,
    Refusal,
)
from appliance.protocols.isotp.interface import IsoTpError, IsoTpLink
from appliance.protocols.nrc import RESPONSE_PENDING, refused, service_name
from appliance.protocols.request import NEGATIVE_SID, Request
from appliance.protocols.uds.timing import UdsTiming
from drivers.can.interface import CanBusGoneError

T = TypeVar("T")

_SHORTEST_WAIT_S = 1e-6
_MOST_SURPLUS = 64
"""An ECU that says more than this unasked is not listened to any further."""
_SHOWN_BYTES = 12


class BrokenTransferError(LinkLostError):
    """Frames of a request or an answer were lost; the bus may still be there."""


class StepLostError(BrokenTransferError):
    """Answers came that belong to other requests: none of them can be trusted."""


class MisfitAnswerError(AccessError):
    """The ECU answered with a record that cannot be one: too short, too long, or without its status."""


class Conversation:
    """One request at a time."""

    def __init__(self, link: IsoTpLink, timing: Callable[[], UdsTiming]) -> None:
        self._link = link
        self._timing = timing
        self.outstanding = False
        """The last request has not been answered: its answer may still come."""
        self.surplus = 0
        """Payloads so far that were no answer to what had been asked."""

    async def once(self, request: Request[T], first_answer_s: float) -> tuple[bytes, T]:
        """Send a request; its own answer, whole and decoded. 0x78 starts P2* again, up to the ceiling.

        Raises EcuRefusedError, EcuSilentError, MisfitAnswerError, BrokenTransferError, LinkLostError.
        """
        self.surplus += self._link.drain()
        await self._send(request.payload)
        return await self._answer(request, first_answer_s, self._count)

    async def probe(self, request: Request[Any], heard: list[bytes]) -> None:
        """Ask what has an answer of its own; `heard` takes all that came before it, which is surplus too.

        Raises what `once` raises.
        """

        def keep(payload: bytes) -> None:
            self._count(payload)
            heard.append(payload)

        await self._send(request.payload)
        await self._answer(request, self._timing().first_answer_s, keep)

    async def overheard(self, request: Request[T], within_s: float) -> tuple[bytes, T] | None:
        """The answer to a request that the ECU works on although it called itself busy; None if none begins.

        A doubled request gets one refusal and one answer: sent again, it would be carried out twice.
        """
        began_s = self._now()
        try:
            return await self._answer(request, within_s, self._count)
        except EcuSilentError:
            if self._now() - began_s > within_s + _SHORTEST_WAIT_S:
                raise
        except EcuRefusedError as error:
            if error.refusal is not Refusal.BUSY:
                raise
        return None

    async def silence(self) -> None:
        """Wait until nothing has come for as long as an answer may take."""
        for _ in range(_MOST_SURPLUS):
            try:
                await self._link.receive(self._timing().first_answer_s)
            except TimeoutError:
                return
            except CanBusGoneError as error:
                raise LinkLostError(phrase("malformed", technical_text=str(error))) from error
            except IsoTpError:
                pass
            self.surplus += 1
        raise StepLostError(phrase("ecu.answers_nobody_asked"))

    async def send_silently(self, payload: bytes, link: IsoTpLink | None = None) -> None:
        """Send what nobody answers, over another link if one is given."""
        try:
            await (self._link if link is None else link).send(payload)
        except (CanBusGoneError, IsoTpError, TimeoutError) as error:
            raise _translated(error) from error

    def close(self) -> None:
        """Close the link."""
        self._link.close()

    async def _send(self, payload: bytes) -> None:
        self.outstanding = True
        await self.send_silently(payload)

    def _count(self, payload: bytes) -> None:
        self.surplus += 1

    async def _answer(
        self, request: Request[T], first_answer_s: float, on_surplus: Callable[[bytes], None]
    ) -> tuple[bytes, T]:
        began_s = self._now()
        ceiling_s = began_s + max(self._timing().pending_ceiling_s, first_answer_s)
        until_s = began_s + first_answer_s
        misfit: MisfitAnswerError | None = None
        while True:
            try:
                payload = await self._receive(request.sid, until_s, began_s)
            except EcuSilentError:
                if misfit is not None:
                    raise misfit from None
                raise
            code = _negative_code(payload, request.sid)
            if code == RESPONSE_PENDING:
                until_s = min(self._now() + self._timing().pending_answer_s, ceiling_s)
                continue
            if code is not None:
                self._answered()
                raise refused(request.sid, code)
            if payload.startswith(request.echo):
                try:
                    decoded = request.decode(payload[len(request.echo) :])
                except ValueError as error:
                    misfit = _misfit(request, payload, error)
                    until_s = min(until_s, self._now() + self._timing().first_answer_s)
                else:
                    self._answered()
                    return payload, decoded
            on_surplus(payload)

    def _answered(self) -> None:
        self.outstanding = False

    async def _receive(self, sid: int, until_s: float, began_s: float) -> bytes:
        try:
            return await self._link.receive(max(until_s - self._now(), _SHORTEST_WAIT_S))
        except TimeoutError as error:
            waited_ms = (self._now() - began_s) * 1000
            raise EcuSilentError(
                phrase("ecu.no_answer", service=service_name(sid), within_ms=waited_ms)
            ) from error
        except (CanBusGoneError, IsoTpError) as error:
            raise _translated(error) from error

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _misfit(request: Request[Any], payload: bytes, why: ValueError) -> MisfitAnswerError:
    shown = payload[:_SHOWN_BYTES].hex(" ").upper() + (" ..." if len(payload) > _SHOWN_BYTES else "")
    return MisfitAnswerError(
        phrase("ecu.answer_misfit", service=service_name(request.sid), answer=shown, technical_text=str(why))
    )


def _negative_code(payload: bytes, sid: int) -> int | None:
    if len(payload) == 3 and payload[0] == NEGATIVE_SID and payload[1] == sid:
        return payload[2]
    return None


def _translated(error: CanBusGoneError | IsoTpError | TimeoutError) -> AccessError:
    """What an access raises for what a link raised."""
    if isinstance(error, CanBusGoneError):
        return LinkLostError(phrase("malformed", technical_text=str(error)))
    if isinstance(error, IsoTpError):
        return BrokenTransferError(phrase("malformed", technical_text=str(error)))
    return EcuSilentError(phrase("malformed", technical_text=str(error)))
