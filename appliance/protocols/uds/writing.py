"""Erases and programs blocks (ISO 14229-1, 14; sources: uds-sequence, uds-bytes)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.protocols.access import (
    Block,
    EcuRefusedError,
    EcuSilentError,
    Hold,
    NotBegunError,
    Progress,
)
from appliance.protocols.uds.client import LOST, UdsClient
from appliance.protocols.uds.conversation import BrokenTransferError
from appliance.protocols.uds.metering import TransferMeter
from appliance.protocols.uds.services.memory import SpanFormat
from appliance.protocols.uds.services.routine import routine_results, start_routine
from appliance.protocols.uds.services.transfer import (
    TRANSFER_HEADER_BYTES,
    next_counter,
    request_download,
    send_block,
)
from appliance.protocols.uds.sizing import SHORTEST_BYTES, AdaptiveSize
from appliance.protocols.uds.status import require_success
from appliance.protocols.uds.transfer import Transfers

_WANTS_AN_ERASE = frozenset({0x10, 0x24, 0x70, 0x71, 0x72})
"""Refusals of a download that may say that its memory is not erased."""
_BY_ONE_BYTE_ID = b"\x01"
"""Length format of a block number in routine options (sources: uds-sequence, VW example)."""


def block_number(block: Block) -> int:
    """The block's id. Raises ValueError for a block that has none."""
    if block.block_id is None:
        raise ValueError(f"a block of {block.region} has no block id")
    return block.block_id


def short_block_name(block: Block) -> bytes:
    """How routines name a block by its id."""
    return _BY_ONE_BYTE_ID + bytes((block_number(block),))


class MemoryWriter:
    """Writes as a definition's erasing and writing tables say."""

    def __init__(
        self, client: UdsClient, definition: UdsAccessDefinition, transfers: Transfers, meter: TransferMeter
    ) -> None:
        self._client = client
        self._transfers = transfers
        self._erasing = definition.erasing
        self._writing = definition.writing
        self._span = SpanFormat(definition.writing.address_bytes, definition.writing.size_bytes)
        self._meter = meter
        self._size: AdaptiveSize | None = None
        self._erased: Block | None = None
        """Erased with success, and no download announced for it since."""

    async def erase(self, block: Block) -> None:
        """Erase and wait for the end.

        Never sent twice: when the answer was lost the ECU is asked for the routine's result instead. Raises
        EcuSilentError if it cannot say.
        """
        self._erased = None
        await self._transfers.drop()
        routine = self._erasing.routine
        try:
            options, status_bytes = self._erase_options(block), self._erasing.status_bytes
            record = await self._client.ask(start_routine(routine, options, record_bytes=status_bytes))
        except (EcuSilentError, BrokenTransferError) as lost:
            record = await self._erase_result(routine, lost)
        require_success(record, "erase")
        self._erased = block

    async def _erase_result(self, routine: int, lost: Exception) -> bytes:
        try:
            request = routine_results(routine, record_bytes=self._erasing.status_bytes)
            return await self._client.ask(request)
        except EcuRefusedError as refusal:
            message = "the answer to the erase routine was lost, and the ECU does not tell its result"
            raise EcuSilentError(f"{message}: {refusal}") from lost

    def _erase_options(self, block: Block) -> bytes:
        if self._erasing.by == "block_id":
            return short_block_name(block)
        span = self._span if self._writing.by == "address" else SpanFormat()
        return span.encode(block.start, block.size)

    async def program(self, block: Block, data: bytes, progress: Progress, hold: Hold | None = None) -> None:
        """Download one block: 34, 36 as often as it takes, 37. Raises ValueError unless data fills it."""
        if len(data) != block.size:
            raise ValueError(f"{len(data)} bytes for a block of {block.size}")
        with self._meter.moving():
            share = await self._begin(block)
            await self._send(data, share, progress, hold)
            await _holding(hold, self._transfers.finish)

    async def _begin(self, block: Block) -> int:
        """Announce the block; memory bytes that one TransferData may carry."""
        place = block_number(block) if self._writing.by == "block_id" else block.start
        request = request_download(self._writing.data_format, self._span, place, block.size)
        erased, in_vain = self._erased == block, self._transfers.in_vain
        self._erased = None
        try:
            limit = await self._transfers.begin(request, may_restart=True, erased=erased)
        except EcuRefusedError as refusal:
            if erased:
                self._erased = block
            if refusal.code in _WANTS_AN_ERASE and not (erased and in_vain):
                raise
            raise NotBegunError(refusal.refusal, str(refusal), refusal.code) from refusal
        return min(limit, self._writing.block_bytes or limit) - TRANSFER_HEADER_BYTES

    async def _send(self, data: bytes, share: int, progress: Progress, hold: Hold | None) -> None:
        """A refused 36 has not counted (ISO 14229-1, 14.5): it may be sent again under its number.

        What a wire that loses frames taught in a block that broke off still holds in the next try.
        """
        size = self._size or AdaptiveSize(share, SHORTEST_BYTES)
        self._size = size
        counter, at = 0, 0
        while at < len(data):
            counter = next_counter(counter)
            part = data[at : at + min(share, size.size)]
            request = send_block(counter, part)
            repeats = self._client.repeats
            try:
                await _holding(hold, partial(self._client.ask, request))
            except LOST:
                size.lost()
                raise
            if self._client.repeats == repeats:
                size.moved()
            else:
                size.lost()
            self._meter.sent(request.payload[:TRANSFER_HEADER_BYTES], part)
            at += len(part)
            progress(len(part))


async def _holding(hold: Hold | None, act: Callable[[], Awaitable[None]]) -> None:
    """Repeat what is refused for as long as `hold` returns."""
    while True:
        try:
            return await act()
        except EcuRefusedError as refusal:
            if hold is None:
                raise
            await hold(refusal)
