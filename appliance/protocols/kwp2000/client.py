"""The request policy on a K-line: what is waited for, repeated, and never taken for an answer.

An ECU answers in the order it was asked, and the answer to a 23 does not say what was read. So after an
answer that did not come, or came broken, nothing counts until the line was silent and a tester present was
answered alone.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from appliance.contract.phrases import phrase
from appliance.protocols.access import AccessError, EcuRefusedError, EcuSilentError, Refusal
from appliance.protocols.keepalive import KeepAlive
from appliance.protocols.kwp2000.link import BrokenMessageError, KwpLink
from appliance.protocols.kwp2000.refusals import PENDING, STILL_RUNNING, refused, service_name
from appliance.protocols.kwp2000.services.control import tester_present
from appliance.protocols.request import NEGATIVE_SID, Request

T = TypeVar("T")

REPEAT_BACK_OFF_S = (0.1, 0.4, 1.0)
"""Pauses before the repeats of an idempotent request whose answer was lost."""
BUSY_DELAYS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
"""Pauses before the repeats after 21."""
TESTER_PRESENT_S = 2.0
"""Well inside P3max of 5 s."""
_SETTLES_S = (0.2, 0.5, 1.0, 2.0)
"""So long the line is silent before each probe."""
_ALONE_S = 0.2
"""So long nothing may follow the answer to it."""


class MisfitAnswerError(AccessError):
    """The ECU answered with a record that cannot be one: too short, too long, or to something else."""


LOST = (EcuSilentError, BrokenMessageError, MisfitAnswerError)
"""What became of an answer that a repeat may bring."""


class KwpClient:
    """One woken ECU at the end of a link. One request at a time; tester present keeps the session."""

    def __init__(self, link: KwpLink) -> None:
        self.link = link
        self.repeats = 0
        self._lock = asyncio.Lock()
        self._in_step = True
        self._last_s = self._now()
        self._keep_alive = KeepAlive(self._beat)

    async def ask(
        self, request: Request[T], *, first_answer_s: float | None = None, attempts: int | None = None
    ) -> T:
        """The decoded positive answer.

        `first_answer_s` replaces P2max. `attempts` replaces the four that idempotent requests have. 23, a
        routine that is still running, is for the caller. Raises EcuRefusedError, EcuSilentError,
        MisfitAnswerError, LinkLostError.
        """
        most = len(REPEAT_BACK_OFF_S) if attempts is None else attempts - 1
        pauses = REPEAT_BACK_OFF_S[:most] if request.idempotent else ()
        async with self._lock:
            for pause_s in pauses:
                try:
                    return await self._while_busy(request, first_answer_s)
                except LOST:
                    self.repeats += 1
                    await asyncio.sleep(pause_s)
            return await self._while_busy(request, first_answer_s)

    async def attempt(self, request: Request[T]) -> T | None:
        """For best-effort steps: ask twice; None if the ECU refused or kept silent."""
        try:
            return await self.ask(request, attempts=2)
        except AccessError:
            return None

    def keep_session(self) -> None:
        """Send tester present whenever the line was unused for a while."""
        self._keep_alive.start(TESTER_PRESENT_S / 2)

    async def release_session(self) -> None:
        """Stop sending tester present."""
        await self._keep_alive.stop()

    async def _while_busy(self, request: Request[T], first_answer_s: float | None) -> T:
        for pause_s in BUSY_DELAYS_S:
            try:
                return await self._exchange(request, first_answer_s)
            except EcuRefusedError as error:
                if error.refusal is not Refusal.BUSY or error.code == STILL_RUNNING:
                    raise
            await asyncio.sleep(pause_s)
        return await self._exchange(request, first_answer_s)

    async def _exchange(self, request: Request[T], first_answer_s: float | None) -> T:
        if not self._in_step:
            await self._come_into_step()
        self._in_step = False
        decoded = await self._once(request, first_answer_s)
        self._in_step = True
        return decoded

    async def _once(self, request: Request[T], first_answer_s: float | None) -> T:
        """Send and receive. A refusal is an answer too, so it leaves both in step."""
        timing = self.link.timing
        try:
            await self.link.send(request.payload)
            payload = await self._receive(request, first_answer_s or timing.first_answer_s)
            ceiling_s = self._now() + timing.pending_ceiling_s
            while payload[:1] == bytes((NEGATIVE_SID,)):
                code = _negative_code(payload, request)
                if code != PENDING:
                    self._in_step = True
                    raise refused(request.sid, code)
                within_s = min(timing.pending_answer_s, ceiling_s - self._now())
                payload = await self._receive(request, within_s)
        finally:
            self._last_s = self._now()
        return _decoded(request, payload)

    async def _receive(self, request: Request[Any], within_s: float) -> bytes:
        try:
            return await self.link.receive(within_s)
        except EcuSilentError as error:
            what = service_name(request.sid)
            raise EcuSilentError(phrase("ecu.no_answer_to", what=what, within_ms=within_s * 1000)) from error

    async def _come_into_step(self) -> None:
        """Raises EcuSilentError, BrokenMessageError, LinkLostError where the ECU cannot be brought to it."""
        problem: AccessError = EcuSilentError(phrase("ecu.no_tester_present"))
        for quiet_s in _SETTLES_S:
            await self.link.settle(quiet_s)
            strangers = self.link.strangers
            try:
                await self._once(tester_present(), None)
                await self.link.settle(_ALONE_S)
            except EcuRefusedError:
                await self.link.settle(_ALONE_S)
            except LOST as error:
                problem = error
                continue
            if self.link.strangers == strangers:
                self._in_step = True
                return
        raise problem

    async def _beat(self) -> None:
        """One tester present, where nothing was said lately; a failed one is left to the next request."""
        if self._lock.locked() or self._now() - self._last_s < TESTER_PRESENT_S / 2:
            return
        await self.ask(tester_present(), attempts=1)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _negative_code(payload: bytes, request: Request[Any]) -> int:
    """Raises MisfitAnswerError for the refusal of something else."""
    if len(payload) != 3 or payload[1] != request.sid:
        raise _misfit(request, payload, "it refuses something else")
    return payload[2]


def _decoded(request: Request[T], payload: bytes) -> T:
    if not payload.startswith(request.echo):
        raise _misfit(request, payload, "it answers something else")
    try:
        return request.decode(payload[len(request.echo) :])
    except ValueError as error:
        raise _misfit(request, payload, str(error)) from error


def _misfit(request: Request[Any], payload: bytes, why: str) -> MisfitAnswerError:
    shown = payload[:12].hex(" ").upper() + (" ..." if len(payload) > 12 else "")
    return MisfitAnswerError(
        phrase("ecu.answer_misfit", service=service_name(request.sid), answer=shown, technical_text=str(why))
    )
