"""How an ECU is opened, committed and left over UDS."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from appliance.contract.phrases import phrase
from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.protocols.access import EcuRefusedError, EcuSilentError, EcuState, Purpose, Refusal
from appliance.protocols.uds.checking import MemoryProof
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.conversation import BrokenTransferError
from appliance.protocols.uds.identity import Identification
from appliance.protocols.uds.opening import Opener
from appliance.protocols.uds.services.control import change_session, reset_ecu
from appliance.protocols.uds.transfer import Transfers

_RESETS = 2
_BOOT_POLL_PAUSES_S = (0.25,) * 20
"""An application may take this much longer to answer than the definition's `reset_wait_s`."""


class UdsLifecycle:
    """Implements LifecycleCapability."""

    def __init__(
        self,
        definition: UdsAccessDefinition,
        client: UdsClient,
        opener: Opener,
        identification: Identification,
        proof: MemoryProof,
    ) -> None:
        self._definition = definition
        self._client = client
        self._opener = opener
        self._identification = identification
        self._proof = proof
        restart = self._restart if definition.recovery.reset_allowed else None
        self.transfers = Transfers(client, opener.reopen, restart)
        """The one transfer the ECU can have under way."""
        self._opened = False

    async def state(self) -> EcuState:
        """Which program answers now, with a short deadline."""
        return await self._identification.state()

    async def open(self, purpose: Purpose) -> None:
        """Enter the session and unlock level that the purpose needs."""
        self._opened = True
        await self._opener.open(purpose)
        if purpose is Purpose.RECOVER:
            self.transfers.suspect()

    async def close(self) -> None:
        """Best effort: give the car back its normal communication. Never raises."""
        if self._opened:
            await self._leave()

    async def commit(self) -> None:
        """Dependency check, reset, wait for the application, normal communication.

        Raises EcuRefusedError PROGRAMMING if the ECU does not accept its memory or stays in its bootloader,
        EcuSilentError if nothing answers after the reset.
        """
        with self._opener.holding():
            await self._proof.check_dependencies()
        await self._client.release_session()
        state = EcuState.SILENT
        for _ in range(_RESETS):
            await self._reset()
            state = await self._state_after_boot()
            if state is EcuState.APPLICATION:
                await self._client.attempt(change_session(self._definition.sessions.extended))
                await self._leave()
                return
        if state is EcuState.BOOTLOADER:
            raise EcuRefusedError(Refusal.PROGRAMMING, phrase("ecu.bootloader_after_reset"))
        raise EcuSilentError(phrase("ecu.silent_after_reset"))

    async def _leave(self) -> None:
        await self._opener.restore()
        self._opened = False

    async def _restart(self) -> None:
        """Reset the ECU, whose application may be dead, and enter its bootloader anew."""
        await self._reset()
        await self._opener.open(Purpose.RECOVER)

    async def _reset(self) -> None:
        """An ECU may reset before its answer is out: what it does then is seen after the boot."""
        with suppress(EcuSilentError, BrokenTransferError):
            await self._client.ask(reset_ecu(), first_answer_s=self._client.timing.first_answer_s)
        self._opener.forget()
        await asyncio.sleep(self._definition.timing.reset_wait_s)

    async def _state_after_boot(self) -> EcuState:
        """The last of a number of looks, which end with the first answer of the application."""
        state = EcuState.SILENT
        for pause_s in (*_BOOT_POLL_PAUSES_S, 0.0):
            state = await self.state()
            if state is EcuState.APPLICATION:
                break
            await asyncio.sleep(pause_s)
        return state
