"""Memory of an ECU over UDS: the capability made of reader, writer and proof."""

from __future__ import annotations

from collections.abc import Callable

from appliance.contract.phrases import phrase
from appliance.contract.places import Range
from appliance.protocols.access import Block, EcuRefusedError, Hold, Progress, Refusal, WireMeter
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
        wire_start: Callable[[Range], int],
        reaches: frozenset[str],
    ) -> None:
        """`wire_start` is by which address the start of a range is named, in the memories that it reaches."""
        self._client = client
        self._opener = opener
        self._reader = reader
        self._writer = writer
        self._proof = proof
        self._meter = meter
        self._wire_start = wire_start
        self._reaches = reaches

    @property
    def max_read_bytes(self) -> int:
        """Largest length `read` takes."""
        return MAX_READ_BYTES

    async def read(self, place: Range, *, upwards: bool = True) -> bytes:
        """Exactly the range, at most max_read_bytes, piece by piece from its start or from its end."""
        if not 0 < place.length <= MAX_READ_BYTES:
            raise ValueError(f"a read of {place.length} bytes; 1 to {MAX_READ_BYTES} are possible")
        self._require(place)
        with self._opener.holding():
            return await self._reader.read(self._wire_start(place), place.length, upwards=upwards)

    async def erase(self, block: Block) -> None:
        """Erase one block and wait until the ECU reports it done."""
        self._require(block.place)
        with self._opener.holding():
            await self._writer.erase(block)

    async def program(self, block: Block, data: bytes, progress: Progress, hold: Hold | None = None) -> None:
        """Program one erased block with exactly `block.size` bytes."""
        self._require(block.place)
        with self._opener.holding():
            await self._writer.program(block, data, progress, hold)

    async def proves_equal(self, block: Block, expected: bytes) -> bool | None:
        """Whether the ECU's checking routine finds `expected` in the block; by style `status`, no fault."""
        self._require(block.place)
        with self._opener.holding():
            return await self._proof.proves_equal(block, expected)

    def _require(self, place: Range) -> None:
        """Raises EcuRefusedError for a memory that no address on this wire is of."""
        if place.memory not in self._reaches:
            raise EcuRefusedError(Refusal.UNSUPPORTED, phrase("ecu.out_of_reach", place=str(place)))

    def meter(self) -> WireMeter:
        """Wire figures since the access was made."""
        return self._meter.reading(self._client.repeats)
