"""ECU access over UDS, entirely from a definition."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from appliance.definitions.schema import Definition
from appliance.protocols.access import (
    Block,
    Dtc,
    EcuIdentity,
    EcuRefusedError,
    EcuSilentError,
    EcuState,
    Hold,
    Progress,
    Purpose,
    Refusal,
    WireMeter,
)
from appliance.protocols.uds.addressing import wire_of
from appliance.protocols.uds.checking import MemoryProof
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.conversation import BrokenTransferError
from appliance.protocols.uds.faults import FaultMemory
from appliance.protocols.uds.identity import Identification
from appliance.protocols.uds.metering import TransferMeter
from appliance.protocols.uds.opening import Opener
from appliance.protocols.uds.reading import MemoryReader
from appliance.protocols.uds.services.control import change_session, reset_ecu
from appliance.protocols.uds.transfer import Transfers
from appliance.protocols.uds.writing import MemoryWriter

MAX_READ_BYTES = 256 * 1024
"""One `read`, whatever the PDUs are: a sealed segment's worth."""

_RESETS = 2
_BOOT_POLL_PAUSES_S = (0.25,) * 20
"""An application may take this much longer to answer than the definition's `reset_wait_s`."""


class UdsAccess:
    """Implements EcuAccess. The links belong to whoever made the client."""

    def __init__(self, definition: Definition, client: UdsClient) -> None:
        """Raises PitboxError if an unlock algorithm of the definition is missing."""
        self._definition = definition
        self._client = client
        self._meter = TransferMeter(wire_of(definition))
        self._opener = Opener(client, definition)
        self._identification = Identification(client, definition)
        restart = self._restart if definition.recovery.reset_allowed else None
        self._transfers = Transfers(client, self._opener.reopen, restart)
        self._reader = MemoryReader(client, definition.reading, self._transfers, self._meter)
        self._writer = MemoryWriter(client, definition, self._transfers, self._meter)
        self._proof = MemoryProof(client, definition)
        self._faults = FaultMemory(client)
        self._opened = False

    @property
    def max_read_bytes(self) -> int:
        """Largest length `read` takes."""
        return MAX_READ_BYTES

    async def state(self) -> EcuState:
        """Which program answers now, with a short deadline."""
        return await self._identification.state()

    async def identify(self) -> EcuIdentity:
        """Identity fields over UDS and OBD; raises EcuSilentError if no program answers at all."""
        return await self._identification.identify()

    async def open(self, purpose: Purpose) -> None:
        """Enter the session and unlock level that the purpose needs."""
        self._opened = True
        await self._opener.open(purpose)
        if purpose is Purpose.RECOVER:
            self._transfers.suspect()

    async def close(self) -> None:
        """Best effort: give the car back its normal communication. Never raises."""
        if self._opened:
            await self._leave()

    async def read(self, start: int, length: int, *, upwards: bool = True) -> bytes:
        """Exactly `length` bytes, at most max_read_bytes, piece by piece from the start or from the end."""
        if not 0 < length <= MAX_READ_BYTES:
            raise ValueError(f"a read of {length} bytes; 1 to {MAX_READ_BYTES} are possible")
        with self._opener.holding():
            return await self._reader.read(start, length, upwards=upwards)

    async def erase(self, block: Block) -> None:
        """Erase one block and wait until the ECU reports it done."""
        with self._opener.holding():
            await self._writer.erase(block)

    async def program(self, block: Block, data: bytes, progress: Progress, hold: Hold | None = None) -> None:
        """Program one erased block with exactly `block.size` bytes."""
        with self._opener.holding():
            await self._writer.program(block, data, progress, hold)

    async def proves_equal(self, block: Block, expected: bytes) -> bool | None:
        """Whether the ECU's checking routine finds `expected` in the block; by style `status`, no fault."""
        with self._opener.holding():
            return await self._proof.proves_equal(block, expected)

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
            raise EcuRefusedError(Refusal.PROGRAMMING, "the ECU stays in its bootloader after the reset")
        raise EcuSilentError("the ECU does not answer after the reset")

    async def read_dtcs(self) -> tuple[Dtc, ...]:
        """Stored fault codes."""
        return await self._faults.read()

    async def clear_dtcs(self) -> None:
        """Clear fault codes."""
        await self._faults.clear()

    async def measured_v(self) -> float | None:
        """The ECU's own supply reading in volts, where it offers one."""
        return await self._identification.measured_v()

    def meter(self) -> WireMeter:
        """Wire figures since the access was made."""
        return self._meter.reading(self._client.repeats)

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
