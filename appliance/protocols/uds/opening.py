"""Sessions and rituals of each purpose (sources: uds-sequence)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.link_steps import Ask
from appliance.definitions.steps import OpenStep
from appliance.protocols.access import AccessError, EcuRefusedError, Purpose, Refusal
from appliance.protocols.nrc import SECURITY_ACCESS_DENIED
from appliance.protocols.request import Request
from appliance.protocols.secrets_needed import require_secrets
from appliance.protocols.transforms import SecretNamed
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.services.control import (
    DEFAULT_SESSION,
    change_session,
    switch_communication,
    switch_dtc_setting,
)
from appliance.protocols.uds.services.data import write_data
from appliance.protocols.uds.services.routine import check_preconditions
from appliance.protocols.uds.status import require_preconditions
from appliance.protocols.uds.steps.opening import OpeningSteps
from appliance.protocols.uds.unlocking import Unlock
from appliance.protocols.uds.wire import Wire

T = TypeVar("T")


class Opener:
    """Takes an ECU into the state a purpose needs, and back."""

    def __init__(
        self,
        client: UdsClient,
        definition: UdsAccessDefinition,
        ecu_id: str,
        secret: SecretNamed,
        wire: Wire | None = None,
    ) -> None:
        """Raises PitboxError if an unlock algorithm is missing, before anything is sent."""
        self._client = client
        self._definition = definition
        self._sessions = definition.sessions
        self._read_unlock = Unlock.of(self._sessions.read_security, ecu_id, secret)
        self._write_unlock = Unlock.of(self._sessions.write_security, ecu_id, secret)
        self._unlock: Unlock | None = None
        self._secret = secret
        self._by_steps = OpeningSteps(client, secret, self._enter, self._unlock_for, wire)
        self._list: Sequence[OpenStep] | None = None
        """The steps that the ECU was opened by, where they are data."""
        self._session = DEFAULT_SESSION
        self._handed_over = False
        """Whether the ECU may be in its programming session, which some leave by a reset alone."""
        self._held = False
        """Whether anything was done with the present unlock."""

    async def open(self, purpose: Purpose) -> None:
        """Session, unlock and preparations; tester present keeps them from then on.

        Raises PitboxError for a secret of the owner that is missing, before anything is sent.
        An ECU that must not leave its programming session half written was kept there, by this box.
        """
        self._list = self._steps_for(purpose)
        require_secrets(self._definition, purpose, self._secret)
        self._by_steps.require(self._list or ())
        kept = self._definition.recovery.recoverability != "bootloader"
        self._handed_over |= kept and purpose is Purpose.RECOVER
        if self._list is not None:
            await self._by_steps.run(self._list)
        elif purpose is Purpose.READ:
            await self._open_for_reading()
        else:
            await self._open_for_writing(required=purpose is Purpose.WRITE)

    async def reopen(self) -> None:
        """Enter the present session anew and unlock it: the ECU forgets transfers that were under way."""
        if self._list is not None:
            await self._by_steps.run([step for step in self._list if not isinstance(step, Ask)])
            return
        await self._enter(self._session)
        await self._perform(self._unlock)
        if self._unlock is self._write_unlock:
            await self._write_fingerprint(required=False)

    async def restore(self) -> None:
        """Switch everything back on and leave the session, as far as the ECU lets us."""
        await self._client.release_session()
        for step in (*self._definition.steps.always, *(self._definition.steps.close or ())):
            try:
                await self._by_steps.run([step])
            except AccessError:
                continue
        if self._definition.steps.close is None:
            for request in (
                switch_communication(True),
                switch_dtc_setting(True),
                change_session(DEFAULT_SESSION),
            ):
                await self._client.attempt(request)
        else:
            await self._by_steps.rates.home()
        self.forget()

    def forget(self) -> None:
        """The ECU was reset, or sent back to its default session."""
        self._client.adopt(None)
        self._by_steps.rates.first()
        self._session, self._unlock = DEFAULT_SESSION, None
        self._handed_over = self._held = False

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Around work that needs the unlock: refused for want of it after it held, the session was lost.

        Raises EcuRefusedError SESSION_LOST then; SECURITY where the unlock never sufficed.
        """
        try:
            yield
        except EcuRefusedError as error:
            if error.code != SECURITY_ACCESS_DENIED or not self._held:
                raise
            self._held = False
            message = f"the unlocked session was lost: {error}"
            raise type(error)(Refusal.SESSION_LOST, message, error.code) from error
        self._held = self._unlock is not None

    def _steps_for(self, purpose: Purpose) -> Sequence[OpenStep] | None:
        steps = self._definition.steps
        if purpose is Purpose.READ:
            return steps.open_to_read
        return (steps.recover or steps.open) if purpose is Purpose.RECOVER else steps.open

    async def _open_for_reading(self) -> None:
        kind = self._sessions.read_session
        if kind == "programming":
            if not await self._still_programming():
                await self._enter(self._sessions.extended)
                await self._check_preconditions(required=True)
                await self._enter(self._sessions.programming)
        elif kind == "extended":
            await self._enter(self._sessions.extended)
        await self._perform(self._read_unlock)

    async def _open_for_writing(self, required: bool) -> None:
        """Without `required`, only programming session and unlock have to succeed: a dead application answers
        none of the others, and the bootloader need not.
        """
        if not await self._still_programming():
            await self._prepare_application(required)
            await self._enter(self._sessions.programming)
        await self._perform(self._write_unlock)
        await self._write_fingerprint(required)

    async def _prepare_application(self, required: bool) -> None:
        await self._step(change_session(self._sessions.extended), required)
        await self._check_preconditions(required)
        if self._sessions.dtc_off:
            await self._step(switch_dtc_setting(False), required)
        if self._sessions.communication_off:
            await self._step(switch_communication(False), required)

    async def _still_programming(self) -> bool:
        """Enter the programming session from itself where the ECU was handed over to it before.

        A bootloader need not know the extended session, and where this one does, the way there may lead
        through a reset. An ECU that has left the programming session refuses, and is taken the whole way.
        """
        if not self._handed_over:
            return False
        try:
            await self._enter(self._sessions.programming)
        except EcuRefusedError:
            return False
        return True

    async def _enter(self, session: int) -> None:
        """Change the session; the jump into a bootloader may take as long as P2*."""
        self._handed_over |= session == self._sessions.programming
        patience_s = self._client.timing.pending_answer_s
        try:
            promised = await self._client.ask(change_session(session), first_answer_s=patience_s)
        except EcuRefusedError:
            self._handed_over = False
            raise
        self._client.adopt(promised)
        self._client.keep_session()
        self._session = session

    async def _perform(self, unlock: Unlock | None) -> None:
        self._unlock, self._held = unlock, False
        if unlock is not None:
            await unlock.perform(self._client)

    async def _unlock_for(self, purpose: str) -> None:
        await self._perform(self._read_unlock if purpose == "reading" else self._write_unlock)

    async def _check_preconditions(self, required: bool) -> None:
        routine = self._sessions.precondition_routine
        if routine is not None:
            record = await self._step(check_preconditions(routine), required)
            if required:
                require_preconditions(record or b"")

    async def _write_fingerprint(self, required: bool) -> None:
        writing = self._definition.writing
        if writing.fingerprint_did is not None:
            value = bytes.fromhex(writing.fingerprint or "")
            await self._step(write_data(writing.fingerprint_did, value), required)

    async def _step(self, request: Request[T], required: bool) -> T | None:
        return await (self._client.ask(request) if required else self._client.attempt(request))
