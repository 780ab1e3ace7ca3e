"""Memory of an ECU over UDS: the capability made of reader, writer and proof."""

from __future__ import annotations

from appliance.protocols.access import Block, Hold, Progress, WireMeter
from appliance.protocols.uds.checking import MemoryProof
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.metering import TransferMeter
from appliance.protocols.uds.opening import Opener
from appliance.protocols.uds.reading import MemoryReader
from appliance.protocols.uds.writing import MemoryWriter

MAX_READ_BYTES = 256 * 1024
"""One `read`, whatever the PDUs are: a sealed segment's worth."""


class UdsMemory:
    """Implements MemoryCapability: while it works, the opener holds session and unlock."""

    def __init__(
        self,
        client: UdsClient,
        opener: Opener,
        reader: MemoryReader,
        writer: MemoryWriter,
        proof: MemoryProof,
        meter: TransferMeter,
    ) -> None:
        self._client = client
        self._opener = opener
        self._reader = reader
        self._writer = writer
        self._proof = proof
        self._meter = meter

    @property
    def max_read_bytes(self) -> int:
        """Largest length `read` takes."""
        return MAX_READ_BYTES

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

    def meter(self) -> WireMeter:
        """Wire figures since the access was made."""
        return self._meter.reading(self._client.repeats)
