"""Has the ECU prove its own memory."""

from __future__ import annotations

import zlib

from appliance.definitions.schema import Definition
from appliance.protocols.access import Block
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.services.memory import SpanFormat
from appliance.protocols.uds.services.routine import start_routine
from appliance.protocols.uds.status import require_success, succeeded
from appliance.protocols.uds.writing import short_block_name

_CRC_BYTES = 4


class MemoryProof:
    """The routines of a definition's checking table."""

    def __init__(self, client: UdsClient, definition: Definition) -> None:
        self._client = client
        self._checking = definition.checking
        writing = definition.writing
        by_address = writing.by == "address"
        self._span = SpanFormat(writing.address_bytes, writing.size_bytes) if by_address else SpanFormat()

    async def proves_equal(self, block: Block, expected: bytes) -> bool | None:
        """Whether the block's CRC-32 is that of `expected`; None where the ECU offers no such routine."""
        routine = self._checking.routine
        if routine is None:
            return None
        crc = zlib.crc32(expected).to_bytes(_CRC_BYTES)
        if self._checking.style == "hash_range":
            return await self._run(routine, self._span.encode(block.start, block.size), len(crc)) == crc
        named = short_block_name(block) + len(crc).to_bytes(2) + crc
        return succeeded(await self._run(routine, named, self._checking.status_bytes))

    async def check_dependencies(self) -> None:
        """Have the ECU judge all its memory. Raises EcuRefusedError PROGRAMMING if it is not good."""
        routine = self._checking.dependencies_routine
        if routine is not None:
            record = await self._run(routine, b"", self._checking.dependencies_status_bytes)
            require_success(record, "the check of programming dependencies")

    async def _run(self, routine: int, options: bytes, record_bytes: int) -> bytes:
        request = start_routine(routine, options, record_bytes=record_bytes, idempotent=True)
        return await self._client.ask(request)
