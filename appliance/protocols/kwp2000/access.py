"""ECU access over KWP2000, entirely from a definition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from appliance.contract.phrases import phrase
from appliance.definitions.access.kwp2000 import IdentityField
from appliance.definitions.memory import Memory
from appliance.definitions.schema import Definition
from appliance.protocols.access import (
    Dtc,
    EcuIdentity,
    EcuRefusedError,
    EcuSilentError,
    EcuState,
    LinkLostError,
    Purpose,
    Refusal,
)
from appliance.protocols.kwp2000.client import MisfitAnswerError
from appliance.protocols.kwp2000.layout import require_layout
from appliance.protocols.kwp2000.memory import KwpMemory
from appliance.protocols.kwp2000.services.data import clear_dtcs, read_dtcs, read_identification
from appliance.protocols.kwp2000.session import KwpSession, quietly
from appliance.protocols.kwp2000.waking import ApplicationRunsError
from appliance.protocols.readable import text
from appliance.protocols.secrets_needed import require_secrets
from appliance.protocols.transforms import SecretNamed, none_supplied

_BOOT_TRIES = 3
_FALLS_ASLEEP_S = 5.2
"""Beyond P3max: one that refused to be woken listens until then, and takes no pulse."""


class KwpIdentification:
    """Implements IdentityCapability: what the records of 1A tell."""

    def __init__(self, session: KwpSession) -> None:
        self._session = session
        self._fields = session.how.identity
        self.trouble: LinkLostError | None = None
        """What was wrong with the line where the ECU was taken for silent."""

    async def state(self) -> EcuState:
        """The application alone tells the software number."""
        try:
            await self._session.ask(read_identification(self._fields.sw.option))
        except EcuRefusedError:
            return EcuState.BOOTLOADER
        except ApplicationRunsError:
            await asyncio.sleep(_FALLS_ASLEEP_S)
            return EcuState.APPLICATION
        except (EcuSilentError, LinkLostError, MisfitAnswerError) as error:
            self.trouble = error if isinstance(error, LinkLostError) else None
            await self._session.forget()
            return EcuState.SILENT
        return EcuState.APPLICATION

    async def identify(self) -> EcuIdentity:
        """Every field the present program answers. Raises EcuSilentError if it is silent."""
        if await self.state() is EcuState.SILENT:
            raise EcuSilentError(phrase("kline.nothing_answers"))
        if self._session.client is None:
            return EcuIdentity()
        fields, told = self._fields, dict[int, bytes | None]()
        return EcuIdentity(
            hw=await self._text(fields.hw, told),
            sw=await self._text(fields.sw, told),
            boot=await self._text(fields.boot, told),
            serial=await self._text(fields.serial, told),
            vin=await self._text(fields.vin, told),
        )

    async def _text(self, field: IdentityField | None, told: dict[int, bytes | None]) -> str | None:
        if field is None:
            return None
        if field.option not in told:
            told[field.option] = await quietly(self._session, read_identification(field.option))
        record = told[field.option] or b""
        end = None if field.length is None else field.first + field.length
        return text(record[field.first : end]) or None


class KwpLifecycle:
    """Implements LifecycleCapability."""

    def __init__(
        self,
        session: KwpSession,
        identification: KwpIdentification,
        memory: KwpMemory,
        memories: Sequence[Memory],
        secret: SecretNamed,
    ) -> None:
        self._session = session
        self._memory, self._memories = memory, memories
        self._secret = secret
        self._identification = identification

    async def state(self) -> EcuState:
        """Which program answers now."""
        return await self._identification.state()

    async def open(self, purpose: Purpose) -> None:
        """Enter the session and unlock level that the purpose needs.

        Raises PitboxError for a secret of the owner that is missing, before anything is sent, and
        LAYOUT_UNLIKE for an ECU with another memory.
        """
        require_secrets(self._session.how, purpose, self._secret)
        await self._session.open(purpose)
        if purpose is not Purpose.RECOVER:
            await require_layout(self._memory, self._session.how.layout, self._memories)

    async def close(self) -> None:
        """Stop communication; never raises."""
        await self._session.leave()

    async def commit(self) -> None:
        """End the session cleanly, and see that the application answers.

        Raises EcuRefusedError PROGRAMMING if the ECU stays in its bootloader, EcuSilentError if it is silent.
        """
        state = EcuState.SILENT
        for _ in range(_BOOT_TRIES):
            await self._session.leave()
            await asyncio.sleep(self._session.how.times.restart_wait_s)
            state = await self.state()
            if state is EcuState.APPLICATION:
                return
        if state is EcuState.BOOTLOADER:
            raise EcuRefusedError(Refusal.PROGRAMMING, phrase("ecu.stays_in_bootloader"))
        raise EcuSilentError(phrase("ecu.silent_after_write"))


class KwpFaultMemory:
    """Implements DiagnosticsCapability: fault codes; live values are not asked for."""

    def __init__(self, session: KwpSession) -> None:
        self._session = session

    async def read_dtcs(self) -> tuple[Dtc, ...]:
        """Stored fault codes, by 18."""
        return await self._session.ask(read_dtcs())

    async def clear_dtcs(self) -> None:
        """By 14."""
        await self._session.ask(clear_dtcs())

    async def measured_v(self) -> float | None:
        """None: which block of 21 holds it differs from ECU to ECU."""
        return None

    async def engine_speed_rpm(self) -> float | None:
        """None, for the same reason."""
        return None


class KwpAccess:
    """Implements EcuAccess. The line belongs to whoever opened it."""

    link = None
    """One tester and one ECU at a time: there is nobody else to listen to."""

    def __init__(self, session: KwpSession, ecu: Definition, secret: SecretNamed = none_supplied) -> None:
        self.session = session
        self.identity = KwpIdentification(session)
        reached = session.how.reached(ecu.memories)
        self.memory = KwpMemory(session, {one.name: one.erased_byte for one in reached}, secret)
        self.lifecycle = KwpLifecycle(session, self.identity, self.memory, reached, secret)
        self.diagnostics = KwpFaultMemory(session)
