"""Has the ECU prove its own memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

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
        self._own_crc_at = _own_crc_at(definition)
        writing = definition.writing
        by_address = writing.by == "address"
        self._span = SpanFormat(writing.address_bytes, writing.size_bytes) if by_address else SpanFormat()

    async def proves_equal(self, block: Block, expected: bytes) -> bool | None:
        """Whether the block's CRC-32 is that of `expected`; None where the ECU offers no such routine."""
        routine = self._checking.routine
        if routine is None:
            return None
        if self._checking.style == "hash_range":
            return await self._hashes_are_right(routine, block, expected)
        crc = _crc(expected)
        named = short_block_name(block) + len(crc).to_bytes(2) + crc
        return succeeded(await self._run(routine, named))

    async def _hashes_are_right(self, routine: int, block: Block, expected: bytes) -> bool:
        for start, end in self._pieces(block):
            part = expected[start - block.start : end - block.start]
            if await self._run(routine, self._span.encode(start, end - start)) != _crc(part):
                return False
        return True

    def _pieces(self, block: Block) -> Iterator[tuple[int, int]]:
        """(start, end) of what is hashed at a time: never data together with the CRC-32 that follows it.

        A CRC-32 over data and their own CRC-32 is the same for all data (the residue), so it would call any
        content with a right checksum equal to any other.
        """
        own = self._own_crc_at
        if own is not None and block.start < own < block.end:
            yield block.start, own
            yield own, block.end
        else:
            yield block.start, block.end

    async def check_dependencies(self) -> None:
        """Have the ECU judge all its memory. Raises EcuRefusedError PROGRAMMING if it is not good."""
        routine = self._checking.dependencies_routine
        if routine is not None:
            require_success(await self._run(routine, b""), "the check of programming dependencies")

    async def _run(self, routine: int, options: bytes) -> bytes:
        return await self._client.ask(start_routine(routine, options, idempotent=True))


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CRC_BYTES)


def _own_crc_at(definition: Definition) -> int | None:
    """Address of the CRC-32 that the image keeps of itself; None where it keeps another sum, or none."""
    checksum = definition.checksum
    if checksum is None or checksum.module != "crc32-at":
        return None
    base, store_at = checksum.parameters.get("base", 0), checksum.parameters["store_at"]
    if not isinstance(base, int) or not isinstance(store_at, int):
        raise TypeError("base and store_at of crc32-at are addresses")
    return definition.region(checksum.region).start + store_at - base
