"""The host's end of the invented debug port, and what it offers the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from appliance.contract.places import Range
from appliance.definitions import access as accesses
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.library import Way
from appliance.protocols import registry
from appliance.protocols.access import (
    Block,
    EcuAccess,
    EcuIdentity,
    EcuRefusedError,
    EcuSilentError,
    EcuState,
    Hold,
    LinkLostError,
    Progress,
    Purpose,
    Refusal,
    WireMeter,
)
from appliance.protocols.ports import CarInterface
from appliance.protocols.protection import Protection, ProtectionKind
from appliance.protocols.registry import Answer, ProtocolOffer
from appliance.protocols.transforms import SecretNamed
from drivers.tap.interface import Tap
from tests.support import probe_tap as port
from tests.support.probe_definition import PROTOCOL, ProbeAccessDefinition

BURST_BYTES = 256
BYTES_PER_S = 100_000.0
_DEAD_BYTE = 0xFF
_POLL_S = 0.05


class TapAccess:
    """Memory and nothing else: no identity, no diagnostics, no bus."""

    identity = None
    diagnostics = None
    link = None

    def __init__(self, tap: Tap, how: ProbeAccessDefinition, place: Range) -> None:
        self._tap = tap
        self._how = how
        self._place = place
        self._moved = self._sent = 0

    @property
    def memory(self) -> TapAccess:
        return self

    @property
    def lifecycle(self) -> TapAccess:
        return self

    @property
    def max_read_bytes(self) -> int:
        return BURST_BYTES

    def meter(self) -> WireMeter:
        sent = self._sent
        return WireMeter(
            self._moved, self._moved / BYTES_PER_S, BYTES_PER_S, sent_bytes=sent, sent_memory_bytes=sent
        )

    async def idcode(self) -> int | None:
        """The chip's type; None where nothing drives the wire. Raises LinkLostError."""
        await self._took(port.WORD_BYTES)
        found = self._shift(port.IDCODE, 0, reset=True)
        return None if found in (0, 0xFFFF_FFFF) else found

    async def state(self) -> EcuState:
        """A chip whose first word is blank starts nothing; more no port can tell."""
        if await self.idcode() is None:
            return EcuState.SILENT
        first = await self.read(self._place.part(0, port.WORD_BYTES))
        return EcuState.BOOTLOADER if first == b"\xff" * port.WORD_BYTES else EcuState.APPLICATION

    async def open(self, purpose: Purpose) -> None:
        found = await self.idcode()
        if found is None:
            raise EcuSilentError("nothing answers at the test access port")
        if found != self._how.idcode:
            raise EcuRefusedError(Refusal.UNSUPPORTED, f"the chip at the port is an {found:08X}")

    async def close(self) -> None:
        """There is nothing to give back: the entry's ending takes the supply away."""

    async def commit(self) -> None:
        self._shift(port.RUN, 0)
        await self._ready(1.0)

    async def read(self, place: Range, *, upwards: bool = True) -> bytes:
        await self._took(place.length)
        lead = place.start % port.WORD_BYTES
        self._shift(port.ADDRESS, place.start - lead)
        words = -(-(lead + place.length) // port.WORD_BYTES)
        data = b"".join(self._word() for _ in range(words))[lead : lead + place.length]
        await self._ready(0.0)
        return data

    async def erase(self, block: Block) -> None:
        self._shift(port.ERASE, port.ERASE_KEY)
        await self._ready(self._how.erase_s)

    async def program(self, block: Block, data: bytes, progress: Progress, hold: Hold | None = None) -> None:
        self._shift(port.ADDRESS, block.start)
        for at in range(0, len(data), BURST_BYTES):
            part = data[at : at + BURST_BYTES]
            await self._took(len(part))
            for word in range(0, len(part), port.WORD_BYTES):
                self._shift(port.PROGRAM, int.from_bytes(part[word : word + port.WORD_BYTES], "little"))
            await self._ready(0.0)
            self._sent += len(part)
            progress(len(part))

    async def proves_equal(self, block: Block, expected: bytes) -> bool | None:
        """Nothing in the chip compares."""

    def _word(self) -> bytes:
        return self._shift(port.READ, 0).to_bytes(port.WORD_BYTES, "little")

    async def _took(self, size: int) -> None:
        self._moved += size
        await asyncio.sleep(size / BYTES_PER_S)

    async def _ready(self, within_s: float) -> None:
        """The chip drives its status and has ended: all ones are no answer. Raises AccessError."""
        latest_s = asyncio.get_running_loop().time() + within_s
        while True:
            status = self._shift(port.STATUS, 0, bits=8)
            if status & 0xF0 != port.ALIVE:
                raise EcuSilentError("the chip stopped answering")
            if not status & port.BUSY:
                return
            if asyncio.get_running_loop().time() >= latest_s:
                raise EcuSilentError("the chip is busy without an end")
            await asyncio.sleep(_POLL_S)

    def _shift(self, instruction: int, value: int, bits: int = 32, *, reset: bool = False) -> int:
        try:
            if reset:
                self._tap.reset()
            self._tap.shift_ir(instruction, 4)
            return self._tap.shift_dr(value, bits)
        except ConnectionError as error:
            raise LinkLostError(str(error)) from error


def _how(access: AccessDefinition) -> ProbeAccessDefinition:
    assert isinstance(access, ProbeAccessDefinition)
    return access


@asynccontextmanager
async def open_chip(
    car: CarInterface, way: Way, secret: SecretNamed, *, kept: bool = False
) -> AsyncIterator[EcuAccess]:
    yield TapAccess(car.tap(), _how(way.access), way.definition.regions[0].place)


async def discover(car: CarInterface, ways: Sequence[Way], *, every: bool) -> tuple[Answer, ...]:
    """A chip of the right type is there; which one it is, nobody tells."""
    for way in ways:
        chip = TapAccess(car.tap(), _how(way.access), way.definition.regions[0].place)
        if await chip.idcode() is not None:
            await chip.open(Purpose.READ)
            nobody = EcuIdentity()
            return (Answer((way,), nobody, Protection(ProtectionKind.NONE), await chip.state()),)
    return ()


async def require_alone(car: CarInterface, access: AccessDefinition) -> None:
    """One chip alone can be at the end of the cable."""


def keep(car: CarInterface, access: AccessDefinition) -> None:
    """There is no session."""


OFFER = ProtocolOffer(open_chip, discover, require_alone, keep)


def register(patch: pytest.MonkeyPatch) -> None:
    """Make the protocol known until the patch is undone."""
    patch.setattr(accesses, "_PROTOCOLS", dict(accesses._PROTOCOLS))
    patch.setattr(registry, "_OFFERS", dict(registry._OFFERS))
    accesses.register(PROTOCOL, ProbeAccessDefinition)
    registry.register(PROTOCOL, OFFER)
