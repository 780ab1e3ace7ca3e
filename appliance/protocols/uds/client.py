"""The UDS request policy: what is waited for, what is repeated, and what is never taken for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from appliance.protocols.access import AccessError, EcuRefusedError, EcuSilentError, LinkLostError, Refusal
from appliance.protocols.isotp.interface import IsoTpError, IsoTpLink
from appliance.protocols.uds.keepalive import KeepAlive
from appliance.protocols.uds.nrc import RESPONSE_PENDING, refused, service_name
from appliance.protocols.uds.request import NEGATIVE_SID, Request
from appliance.protocols.uds.services.control import TESTER_PRESENT_SILENT, SessionTiming, tester_present
from appliance.protocols.uds.timing import UdsTiming
from drivers.can.interface import CanBusGoneError

T = TypeVar("T")

REPEAT_BACK_OFF_S = (0.05, 0.2, 0.8)
"""Pauses before the repeats of an idempotent request whose answer was lost."""
BUSY_DELAYS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
"""Pauses before the repeats after NRC 0x21 (ISO 14229-1 leaves them open; 100 to 500 ms, ten times)."""
ATTEMPT_S = 0.3
"""What a best-effort step may wait for its first answer."""
_SHORTEST_WAIT_S = 1e-6


class BrokenTransferError(LinkLostError):
    """Frames of a request or an answer were lost; the bus may still be there."""


class UdsClient:
    """One ECU at the end of a link. One request at a time; tester present keeps the session between them.

    `functional` is a link for functional addressing that only sends; without one, tester present goes over
    `link`, between requests.
    """

    def __init__(
        self, link: IsoTpLink, functional: IsoTpLink | None = None, timing: UdsTiming | None = None
    ) -> None:
        self._link = link
        self._functional = functional
        self._defined = self.timing = timing or UdsTiming()
        self._lock = asyncio.Lock()
        self._unsettled = False
        self._active_s = asyncio.get_running_loop().time()
        self._keep_alive = KeepAlive(self._tester_present, lambda: self._active_s)
        self.repeats = 0

    async def ask(
        self, request: Request[T], *, first_answer_s: float | None = None, attempts: int | None = None
    ) -> T:
        """The decoded positive answer.

        `first_answer_s` replaces P2 (P2* for requests that cannot be repeated). `attempts` replaces the four
        that idempotent requests have. Raises EcuRefusedError, EcuSilentError, LinkLostError.
        """
        most = len(REPEAT_BACK_OFF_S) if attempts is None else attempts - 1
        pauses = REPEAT_BACK_OFF_S[:most] if request.idempotent else ()
        async with self._lock:
            for pause_s in pauses:
                try:
                    return await self._exchange(request, first_answer_s)
                except (EcuSilentError, BrokenTransferError):
                    self.repeats += 1
                    await asyncio.sleep(pause_s)
            return await self._exchange(request, first_answer_s)

    async def attempt(self, request: Request[T], *, within_s: float = ATTEMPT_S) -> T | None:
        """For best-effort steps: ask twice with a short deadline; None if the ECU refused or kept silent."""
        try:
            return await self.ask(request, first_answer_s=within_s, attempts=2)
        except AccessError:
            return None

    def adopt(self, promised: SessionTiming | None) -> None:
        """Use the timing of a `50` answer; None goes back to the definition's."""
        self.timing = self._defined if promised is None else self._defined.adopting(promised)

    def keep_session(self) -> None:
        """Send tester present whenever nothing else was sent for `timing.tester_present_s`."""
        self._keep_alive.start(self.timing.tester_present_s)

    async def release_session(self) -> None:
        """Stop sending tester present."""
        await self._keep_alive.stop()

    async def close(self) -> None:
        """Stop tester present and close the links."""
        await self.release_session()
        self._link.close()
        if self._functional is not None:
            self._functional.close()

    async def _exchange(self, request: Request[T], first_answer_s: float | None) -> T:
        if self._unsettled:
            await self._settle()
        return await self._while_busy(request, first_answer_s)

    async def _settle(self) -> None:
        """Make sure that no answer to a lost request can arrive any more.

        An ECU answers in the order it was asked: once it has answered a tester present, all earlier answers
        are out. Without this, the late answer to a read without echo (0x23) would pass for the next one's.
        """
        try:
            await self._while_busy(tester_present(), None)
        except EcuRefusedError as error:
            if error.refusal is Refusal.BUSY:
                raise

    async def _while_busy(self, request: Request[T], first_answer_s: float | None) -> T:
        for pause_s in BUSY_DELAYS_S:
            try:
                return await self._once(request, first_answer_s)
            except EcuRefusedError as error:
                if error.refusal is not Refusal.BUSY:
                    raise
                await asyncio.sleep(pause_s)
        return await self._once(request, first_answer_s)

    async def _once(self, request: Request[T], first_answer_s: float | None) -> T:
        await self._send(request.payload)
        if first_answer_s is None:
            timing = self.timing
            first_answer_s = timing.first_answer_s if request.idempotent else timing.pending_answer_s
        try:
            answer = await self._answer(request, first_answer_s)
        except EcuRefusedError:
            self._settled()
            raise
        self._settled()
        return answer

    async def _send(self, payload: bytes) -> None:
        self._link.drain()
        self._unsettled = True
        self._active_s = self._now()
        with _link_errors():
            await self._link.send(payload)
        self._active_s = self._now()

    def _settled(self) -> None:
        self._unsettled = False
        self._active_s = self._now()

    async def _answer(self, request: Request[T], first_answer_s: float) -> T:
        """Wait for this request's own answer; 0x78 starts P2* again, up to the ceiling (ISO 14229-2, 7.2)."""
        began_s = self._now()
        ceiling_s = began_s + max(self.timing.pending_ceiling_s, first_answer_s)
        until_s = began_s + first_answer_s
        while True:
            payload = await self._receive(request.sid, until_s, began_s)
            code = _negative_code(payload, request.sid)
            if code == RESPONSE_PENDING:
                until_s = min(self._now() + self.timing.pending_answer_s, ceiling_s)
            elif code is not None:
                raise refused(request.sid, code)
            elif payload.startswith(request.echo):
                try:
                    return request.decode(payload[len(request.echo) :])
                except ValueError:
                    continue

    async def _receive(self, sid: int, until_s: float, began_s: float) -> bytes:
        try:
            with _link_errors():
                return await self._link.receive(max(until_s - self._now(), _SHORTEST_WAIT_S))
        except EcuSilentError as error:
            waited_ms = (self._now() - began_s) * 1000
            raise EcuSilentError(f"no answer to {service_name(sid)} within {waited_ms:.0f} ms") from error

    async def _tester_present(self) -> None:
        if self._functional is None:
            async with self._lock:
                await self._send_silently(self._link)
        else:
            await self._send_silently(self._functional)

    async def _send_silently(self, link: IsoTpLink) -> None:
        with _link_errors():
            await link.send(TESTER_PRESENT_SILENT)
        self._active_s = self._now()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _negative_code(payload: bytes, sid: int) -> int | None:
    if len(payload) >= 3 and payload[0] == NEGATIVE_SID and payload[1] == sid:
        return payload[2]
    return None


@contextmanager
def _link_errors() -> Iterator[None]:
    """Translate what a link raises into what an access raises."""
    try:
        yield
    except CanBusGoneError as error:
        raise LinkLostError(str(error)) from error
    except IsoTpError as error:
        raise BrokenTransferError(str(error)) from error
    except TimeoutError as error:
        raise EcuSilentError(str(error)) from error
