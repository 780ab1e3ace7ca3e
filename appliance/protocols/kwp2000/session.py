"""One ECU on a K-line: woken when it is needed, taken into the session that a purpose needs, and let go."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TypeVar

from appliance.contract.phrases import phrase
from appliance.definitions.access.kwp2000 import KwpAccessDefinition
from appliance.definitions.access.security import SecurityLevel
from appliance.protocols.access import AccessError, EcuRefusedError, Purpose, Refusal
from appliance.protocols.kwp2000.bauds import code_of
from appliance.protocols.kwp2000.client import LOST, KwpClient, MisfitAnswerError
from appliance.protocols.kwp2000.framing import HeaderForm
from appliance.protocols.kwp2000.keybytes import KeyBytes
from appliance.protocols.kwp2000.link import KwpLink, line_errors
from appliance.protocols.kwp2000.services.control import (
    read_timing_limits,
    set_timing,
    start_session,
    stop_communication,
)
from appliance.protocols.kwp2000.services.data import flash_status, request_seed, send_key
from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.kwp2000.waking import (
    ApplicationRunsError,
    SlowWake,
    WakeError,
    several_tries,
    wake_fast,
    wake_slowly,
)
from appliance.protocols.request import Request
from appliance.protocols.security.algorithms import KeyAlgorithm, algorithm_for
from appliance.protocols.transforms import SecretNamed, none_supplied
from drivers.kline.interface import KLine, RateError

T = TypeVar("T")

_TRIES = 3
"""With 2.6 s between them, more than the 5 s of P3max after which an ECU that was awake has fallen asleep."""
_AFTER_DROP_S = 1.0


class KwpSession:
    """`client` is there while the ECU is awake."""

    def __init__(
        self, line: KLine, how: KwpAccessDefinition, ecu_id: str, secret: SecretNamed = none_supplied
    ) -> None:
        """Raises PitboxError if an unlock algorithm is missing, before anything is sent."""
        self.line = line
        self.how = how
        self.repeats_before = 0
        self.client: KwpClient | None = None
        self._context = {"definition": ecu_id}
        levels = (how.sessions.read_security, how.sessions.write_security)
        self._algorithms: dict[int, KeyAlgorithm] = {
            level.level: algorithm_for(level, secret) for level in levels if level is not None
        }
        self._purpose: Purpose | None = None

    @property
    def repeats(self) -> int:
        """Requests so far that had to be sent again."""
        return self.repeats_before + (self.client.repeats if self.client else 0)

    async def ask(self, request: Request[T], *, attempts: int | None = None) -> T:
        """As the client does, of an ECU that is woken for it where it sleeps. Raises AccessError."""
        return await (await self.awake()).ask(request, attempts=attempts)

    async def awake(self, tries: int = _TRIES) -> KwpClient:
        """The client, and an ECU that listens to it. Raises WakeError, EcuSilentError, LinkLostError."""
        if self.client is None:
            with line_errors():
                self.line.set_rate(self.how.line.rate_bps)
            keys = await several_tries(self._wake, tries)
            self.client = KwpClient(KwpLink(self.line, keys.limit(self._form_awake), self._timing))
            self.client.keep_session()
        return self.client

    async def open(self, purpose: Purpose) -> None:
        """Woken anew, in the session and unlocked. Raises AccessError."""
        await self.leave()
        self._purpose = purpose
        if self.how.line.application_refuses:
            await self._leave_application()
        sessions = self.how.sessions
        if purpose is Purpose.READ:
            if sessions.read is not None:
                await self._enter(sessions.read, sessions.read_rate_bps)
            await self._unlock(sessions.read_security)
        else:
            if purpose is Purpose.WRITE and sessions.status_option is not None:
                await self._require_programmable(sessions.status_option)
            await self._enter(sessions.programming, sessions.programming_rate_bps)
            await self._unlock(sessions.write_security)
        if self.how.times.to_limits:
            await self._to_limits()

    async def reopen(self) -> None:
        """Again as it was opened, after the channel was dropped. Raises AccessError."""
        await self.forget()
        await asyncio.sleep(_AFTER_DROP_S)
        await self.open(self._purpose or Purpose.READ)

    async def leave(self) -> None:
        """Stop communication, as far as the ECU listens. Never raises."""
        if self.client is not None:
            await self.client.attempt(stop_communication())
            await self.forget()

    async def forget(self) -> None:
        """The ECU is asleep, or cannot be reached as it was."""
        client, self.client = self.client, None
        if client is not None:
            self.repeats_before += client.repeats
            await client.release_session()

    @property
    def _form(self) -> HeaderForm:
        line = self.how.line
        return HeaderForm(line.target if line.addressed else None, length_byte=line.length_byte)

    @property
    def _form_awake(self) -> HeaderForm:
        addressed = self.how.line.addressed_once_awake
        if addressed is None:
            return self._form
        return replace(self._form, target=self.how.line.target if addressed else None)

    @property
    def _timing(self) -> KwpTiming:
        times = self.how.times
        return KwpTiming(
            p2_max_s=times.p2_max_ms / 1000,
            p3_min_s=times.p3_min_ms / 1000,
            p4_min_s=times.p4_min_ms / 1000,
            pending_ceiling_s=times.pending_ceiling_s,
        )

    async def _wake(self) -> KeyBytes:
        line = self.how.line
        if line.wake_address is not None:
            keys = await wake_slowly(self.line, SlowWake(line.wake_address, line.wake_parity))
        else:
            keys = await self._woken_fast()
        if not keys.takes(self._form):
            raise WakeError(phrase("kline.no_such_headers", keys=str(keys)))
        return keys

    async def _woken_fast(self) -> KeyBytes:
        """A refusal tells of an application only where the definition knows that this ECU's does so."""
        try:
            return await wake_fast(self.line, self._form, self._timing)
        except ApplicationRunsError as refused:
            if self.how.line.application_refuses:
                raise
            raise WakeError(phrase("kline.refused_wake", why=refused.said)) from refused

    async def _leave_application(self) -> None:
        """For the boot loader, from which it comes back by itself. Raises AccessError."""
        try:
            await self.awake()
        except ApplicationRunsError:
            client = KwpClient(KwpLink(self.line, self._form, self._timing))
            await client.ask(start_session(self.how.sessions.programming))
            await client.ask(stop_communication())
            await self.awake()

    async def _require_programmable(self, option: int) -> None:
        """Raises EcuRefusedError CONDITIONS."""
        obstacles = (await self.ask(flash_status(option))).obstacles()
        if obstacles:
            raise EcuRefusedError(Refusal.CONDITIONS, phrase("kline.obstacles", obstacles=tuple(obstacles)))

    async def _enter(self, session: int, rate_bps: int | None) -> None:
        """Enter a session, at another bit rate where the ECU agrees to it."""
        client = await self.awake()
        if rate_bps is not None and not self._makes(rate_bps):
            rate_bps = None
        code = None if rate_bps is None else code_of(rate_bps)
        try:
            drops = await client.ask(start_session(session, code))
        except EcuRefusedError as error:
            if code is None or error.refusal is not Refusal.UNSUPPORTED:
                raise
            rate_bps, drops = None, await client.ask(start_session(session))
        client.link.timing = self._timing
        if drops:
            await self.forget()
            await asyncio.sleep(_AFTER_DROP_S)
            await self.awake()
        elif rate_bps is not None:
            with line_errors():
                self.line.set_rate(rate_bps)

    def _makes(self, rate_bps: int) -> bool:
        """Whether the adapter does: to be known before the ECU changes to it."""
        before_bps = self.line.rate_bps
        with line_errors():
            try:
                self.line.set_rate(rate_bps)
            except RateError:
                return False
            self.line.set_rate(before_bps)
        return True

    async def _unlock(self, level: SecurityLevel | None) -> None:
        """One key, and never a second: some ECUs lock for hours. After a lost answer the new seed tells."""
        if level is None:
            return
        try:
            await self._send_key(level)
        except LOST:
            await self._send_key(level)

    async def _send_key(self, level: SecurityLevel) -> None:
        seed = await self.ask(request_seed(level.level))
        if len(seed) != level.seed_bytes:
            raise MisfitAnswerError(phrase("ecu.seed_length", bytes=len(seed), wanted_bytes=level.seed_bytes))
        if any(seed):
            key = self._algorithms[level.level](level.level, seed, self._context)
            await self.ask(send_key(level.level, key))

    async def _to_limits(self) -> None:
        """The shortest times that the ECU offers; P2max and P3max stay, so that it falls asleep by itself.

        A refusal leaves the times as they are.
        """
        client = await self.awake()
        try:
            limits = self._timing.adopting(await client.ask(read_timing_limits()))
            wanted = KwpTiming(
                p2_min_s=limits.p2_min_s,
                p3_min_s=limits.p3_min_s,
                p4_min_s=limits.p4_min_s,
                p2_max_s=self._timing.p2_max_s,
                pending_ceiling_s=self._timing.pending_ceiling_s,
            )
            await client.ask(set_timing(wanted))
        except (EcuRefusedError, ValueError):
            return
        client.link.timing = wanted


async def quietly(session: KwpSession, request: Request[T]) -> T | None:
    """For best-effort questions: None if the ECU refused or kept silent."""
    try:
        return await session.ask(request, attempts=2)
    except AccessError:
        return None
