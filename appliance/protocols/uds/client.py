"""The UDS request policy: what is waited for, what is repeated, and what is never taken for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from appliance.contract.phrases import phrase
from appliance.protocols.access import AccessError, EcuRefusedError, EcuSilentError, Refusal
from appliance.protocols.isotp.interface import IsoTpLink
from appliance.protocols.keepalive import KeepAlive
from appliance.protocols.nrc import service_name
from appliance.protocols.request import Request
from appliance.protocols.uds.conversation import (
    BrokenTransferError,
    Conversation,
    MisfitAnswerError,
    StepLostError,
)
from appliance.protocols.uds.services.control import TESTER_PRESENT_SILENT, SessionTiming, tester_present
from appliance.protocols.uds.services.data import ACTIVE_SESSION_DID, VIN_DID, read_data
from appliance.protocols.uds.timing import UdsTiming

T = TypeVar("T")

REPEAT_BACK_OFF_S = (0.05, 0.2, 0.8)
"""Pauses before the repeats of an idempotent request whose answer was lost."""
BUSY_DELAYS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
"""Pauses before the repeats after NRC 0x21 (ISO 14229-1 leaves them open; 100 to 500 ms, ten times)."""
ATTEMPT_S = 0.3
"""What a best-effort step may wait for its first answer."""
LOST = (EcuSilentError, BrokenTransferError, MisfitAnswerError)
"""What became of an answer that a repeat may bring."""
_PROBES: tuple[Request[Any], ...] = (tester_present(), read_data(ACTIVE_SESSION_DID))
"""Asked in turn, so that the answer to one is not taken for that to the next."""
_QUIET_PROBES: tuple[Request[Any], ...] = (_PROBES[-1], read_data(VIN_DID))
"""Of which none is a tester present; a refusal is an answer as good as any."""
_MOST_PROBES = 3
"""In a row that stay unanswered, or find answers that nobody asked for."""


class UdsClient:
    """One ECU at the end of a link. One request at a time; tester present keeps the session meanwhile.

    `functional` is a link for functional addressing that only sends; without one, tester present goes over
    `link`, between requests.
    """

    def __init__(
        self, link: IsoTpLink, functional: IsoTpLink | None = None, timing: UdsTiming | None = None
    ) -> None:
        self._defined = self.timing = timing or UdsTiming()
        self._conversation = Conversation(link, lambda: self.timing)
        self._functional = functional
        self._lock = asyncio.Lock()
        self._last_probe: Request[Any] = _PROBES[-1]
        self._proven_surplus = 0
        self._keep_alive = KeepAlive(self._tester_present)
        self.repeats = 0

    async def ask(
        self,
        request: Request[T],
        *,
        first_answer_s: float | None = None,
        attempts: int | None = None,
        prove: bool = True,
    ) -> T:
        """The decoded positive answer.

        `first_answer_s` replaces P2 (P2* for requests that cannot be repeated). `attempts` replaces the four
        that idempotent requests have. Without `prove` the caller sees to it that answers that look alike are
        in step. Raises EcuRefusedError, EcuSilentError, MisfitAnswerError, LinkLostError.
        """
        most = len(REPEAT_BACK_OFF_S) if attempts is None else attempts - 1
        pauses = REPEAT_BACK_OFF_S[:most] if request.idempotent else ()
        async with self._lock:
            for pause_s in pauses:
                try:
                    return await self._exchange(request, first_answer_s, prove)
                except LOST:
                    self.repeats += 1
                    await asyncio.sleep(pause_s)
            return await self._exchange(request, first_answer_s, prove)

    async def attempt(self, request: Request[T], *, within_s: float = ATTEMPT_S) -> T | None:
        """For best-effort steps: ask twice with a short deadline; None if the ECU refused or kept silent."""
        try:
            return await self.ask(request, first_answer_s=within_s, attempts=2)
        except AccessError:
            return None

    async def proves_step(self) -> bool:
        """Whether every answer since the last proof was the one to its request; in step again, if not.

        Raises StepLostError if the ECU goes on answering what it was not asked; EcuSilentError and
        LinkLostError as `ask` does.
        """
        async with self._lock:
            await self._probe([])
            if not self.lost_step:
                return True
            await self._resynchronise()
            return False

    @property
    def lost_step(self) -> bool:
        """An answer came since the last proof that nobody had asked for."""
        return self._conversation.surplus != self._proven_surplus

    @property
    def in_doubt(self) -> bool:
        """As `lost_step`, or the answer to the last request may still come."""
        return self.lost_step or self._conversation.outstanding

    def adopt(self, promised: SessionTiming | None) -> None:
        """Use the timing of a `50` answer; None goes back to the definition's."""
        self.timing = self._defined if promised is None else self._defined.adopting(promised)

    def keep_session(self) -> None:
        """Send tester present every `timing.tester_present_s`, whatever else is going on."""
        self._keep_alive.start(self.timing.tester_present_s)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing inside of it tells the ECU that a tester is present, but for what is asked of it."""
        self._keep_alive.suspended = True
        try:
            yield
        finally:
            self._keep_alive.suspended = False

    async def present(self) -> None:
        """One tester present at once, for nobody's answer; a link that does not take it is left to others."""
        with suppress(AccessError):
            await self._tester_present()

    async def tell_all(self, payload: bytes) -> None:
        """Say it to every ECU on the bus; nobody answers. Raises LinkLostError."""
        if self._functional is None:
            async with self._lock:
                await self._conversation.send_silently(payload)
        else:
            await self._conversation.send_silently(payload, self._functional)

    def attach(self, link: IsoTpLink, functional: IsoTpLink | None) -> None:
        """Go on over other links, after `close`: nothing is under way, and no session is kept."""
        self._conversation = Conversation(link, lambda: self.timing)
        self._functional = functional
        self._proven_surplus = 0

    async def release_session(self) -> None:
        """Stop sending tester present."""
        await self._keep_alive.stop()

    async def close(self) -> None:
        """Stop tester present and close the links."""
        await self.release_session()
        self._conversation.close()
        if self._functional is not None:
            self._functional.close()

    async def _exchange(self, request: Request[T], first_answer_s: float | None, prove: bool) -> T:
        await self._settle(request, prove)
        try:
            payload, decoded = await self._while_busy(request, first_answer_s)
        except EcuRefusedError as error:
            if request.lookalike and prove and error.refusal is not Refusal.BUSY:
                await self._confirm(request, None)
            raise
        if request.lookalike and prove:
            await self._confirm(request, payload)
        return decoded

    async def _settle(self, request: Request[T], prove: bool) -> None:
        """Make sure that no answer to a lost request can arrive any more, nor one that nobody asked for.

        An ECU answers in the order it was asked: once it has answered a probe, all earlier answers are out.
        Without this, the late answer to a read without echo (0x23) would pass for the next one's.
        """
        if self._conversation.outstanding:
            plain = tester_present() if not self._keep_alive.suspended else _PROBES[-1]
            await self._ask_probe(self._next_probe() if request.lookalike else plain, [])
        if request.lookalike and prove and self.lost_step:
            await self._resynchronise()

    async def _confirm(self, request: Request[T], taken: bytes | None) -> None:
        """See that nothing is left behind the answer that was taken, or the refusal (None).

        Raises StepLostError where it may have been another request's; not for what cannot be repeated, if
        every answer to it says the same.
        """
        heard: list[bytes] = []
        await self._probe(heard)
        if not self.lost_step:
            return
        await self._resynchronise()
        same = all(payload == taken for payload in heard if payload[:1] == request.echo[:1])
        if request.idempotent or taken is None or not same:
            raise StepLostError(phrase("ecu.more_answers", service=service_name(request.sid)))

    async def _resynchronise(self) -> None:
        """Listen until it is quiet, then ask what has an answer of its own; until that comes alone."""
        for _ in range(_MOST_PROBES):
            await self._conversation.silence()
            self._proven_surplus = self._conversation.surplus
            await self._probe([])
            if not self.lost_step:
                return
        raise StepLostError(phrase("ecu.answers_unasked_on"))

    async def _probe(self, heard: list[bytes]) -> None:
        """Have a probe answered; `heard` takes what came before its answer."""
        for _ in range(_MOST_PROBES - 1):
            try:
                return await self._ask_probe(self._next_probe(), heard)
            except LOST:
                self.repeats += 1
        return await self._ask_probe(self._next_probe(), heard)

    async def _ask_probe(self, probe: Request[Any], heard: list[bytes]) -> None:
        """Any refusal is an answer as good as others, but "busy". Raises EcuRefusedError where that stays."""
        self._last_probe = probe
        for pauses_left in reversed(range(len(BUSY_DELAYS_S) + 1)):
            try:
                await self._conversation.probe(probe, heard)
            except EcuRefusedError as error:
                if error.refusal is Refusal.BUSY and not pauses_left:
                    raise
                if error.refusal is Refusal.BUSY:
                    await asyncio.sleep(BUSY_DELAYS_S[-pauses_left])
                    continue
            return

    def _next_probe(self) -> Request[Any]:
        """Other than the last; while the ECU must not hear a tester present, none that is one."""
        if self._keep_alive.suspended:
            return next(probe for probe in _QUIET_PROBES if probe is not self._last_probe)
        return next(probe for probe in _PROBES if probe is not self._last_probe)

    async def _while_busy(self, request: Request[T], first_answer_s: float | None) -> tuple[bytes, T]:
        if first_answer_s is None:
            timing = self.timing
            first_answer_s = timing.first_answer_s if request.idempotent else timing.pending_answer_s
        for pause_s in BUSY_DELAYS_S:
            try:
                return await self._conversation.once(request, first_answer_s)
            except EcuRefusedError as error:
                if error.refusal is not Refusal.BUSY:
                    raise
            if request.idempotent:
                await asyncio.sleep(pause_s)
            elif (answer := await self._conversation.overheard(request, pause_s)) is not None:
                return answer
        return await self._conversation.once(request, first_answer_s)

    async def _tester_present(self) -> None:
        if self._keep_alive.suspended:
            return
        await self.tell_all(TESTER_PRESENT_SILENT)
