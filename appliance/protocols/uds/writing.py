"""Erases and programs blocks (ISO 14229-1, 14; sources: uds-sequence, uds-bytes)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from functools import partial

from appliance.contract.phrases import phrase
from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.step_kinds import Download
from appliance.definitions.template import Template
from appliance.protocols.access import (
    Block,
    EcuRefusedError,
    EcuSilentError,
    Hold,
    NotBegunError,
    Progress,
    Refusal,
)
from appliance.protocols.request import Request
from appliance.protocols.transforms import Piece, SecretNamed, messages, none_supplied, payload, sliced
from appliance.protocols.uds.client import LOST, UdsClient
from appliance.protocols.uds.conversation import BrokenTransferError
from appliance.protocols.uds.metering import TransferMeter
from appliance.protocols.uds.services.memory import SpanFormat
from appliance.protocols.uds.services.routine import routine_results, start_routine
from appliance.protocols.uds.services.transfer import (
    TRANSFER_HEADER_BYTES,
    announced,
    next_counter,
    request_download,
)
from appliance.protocols.uds.sizing import SHORTEST_BYTES, AdaptiveSize
from appliance.protocols.uds.status import require_success
from appliance.protocols.uds.steps.asking import Values, carry_out, values_of
from appliance.protocols.uds.steps.download import CloseCheck, around, framed, trailer_of
from appliance.protocols.uds.transfer import Transfers

_WANTS_AN_ERASE = frozenset({0x10, 0x24, 0x70, 0x71, 0x72})
"""Refusals of a download that may say that its memory is not erased."""
_BY_ONE_BYTE_ID = b"\x01"
"""Length format of a block number in routine options (sources: uds-sequence, VW example)."""
_PIECES_IN_A_TURN = 64
"""Counted between two turns of the loop: some milliseconds on the smallest box."""


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
        self,
        client: UdsClient,
        definition: UdsAccessDefinition,
        transfers: Transfers,
        meter: TransferMeter,
        secret: SecretNamed = none_supplied,
    ) -> None:
        self._client = client
        self._transfers = transfers
        self._erasing = definition.erasing
        self._writing = definition.writing
        self._wire_start = definition.wire_start
        self._steps = definition.steps
        self._secret = secret
        self._span = SpanFormat(definition.writing.address_bytes, definition.writing.size_bytes)
        self._meter = meter
        self._size: AdaptiveSize | None = None
        self._erased: set[Block] = set()
        """Erased with success, and no download announced for it since."""

    async def erase(self, block: Block) -> None:
        """Erase and wait for the end. Nothing is sent for a block that is replaced in place.

        Never sent twice: when the answer was lost the ECU is asked for the routine's result instead. Raises
        EcuSilentError if it cannot say.
        """
        self._erased.discard(block)
        await self._transfers.drop()
        if block.region not in self._erasing.in_place:
            await self._erase(block)
        self._erased.add(block)

    async def _erase(self, block: Block) -> None:
        if self._steps.erase is not None:
            await carry_out(self._client, self._steps.erase, self._values_of(block), Refusal.PROGRAMMING)
            return
        routine = self._erasing.routine
        try:
            options, status_bytes = self._erase_options(block), self._erasing.status_bytes
            record = await self._client.ask(start_routine(routine, options, record_bytes=status_bytes))
        except (EcuSilentError, BrokenTransferError) as lost:
            record = await self._erase_result(routine, lost)
        require_success(record, "ecu.erase_failed")

    async def _erase_result(self, routine: int, lost: Exception) -> bytes:
        try:
            request = routine_results(routine, record_bytes=self._erasing.status_bytes)
            return await self._client.ask(request)
        except EcuRefusedError as refusal:
            raise EcuSilentError(phrase("ecu.erase_answer_lost", why=refusal.said)) from lost

    def _erase_options(self, block: Block) -> bytes:
        if self._erasing.by == "block_id":
            return short_block_name(block)
        span = self._span if self._writing.by == "address" else SpanFormat()
        return span.encode(self._wire_start(block.place), block.size)

    def _values_of(self, block: Block) -> Values:
        return values_of(block, self._wire_start(block.place))

    async def program(self, block: Block, data: bytes, progress: Progress, hold: Hold | None = None) -> None:
        """Download one block: 34, 36 as often as it takes, 37. Raises ValueError unless data fills it."""
        if len(data) != block.size:
            raise ValueError(f"{len(data)} bytes for a block of {block.size}")
        before, after = around(Download, self._steps.program or ())
        await carry_out(self._client, before, self._values_of(block), Refusal.PROGRAMMING)
        download = self._steps.download
        with self._meter.moving(), self._client.quiet() if download and download.quiet else nullcontext():
            share = await self._begin(block, data)
            check = await self._send(data, share, progress, hold)
            await _holding(hold, partial(self._finish, check))
        await carry_out(self._client, after, self._values_of(block), Refusal.PROGRAMMING)

    async def _finish(self, check: CloseCheck) -> None:
        record = await self._transfers.finish(check.record_bytes)
        if record is not None:
            check.require(record)

    async def _begin(self, block: Block, data: bytes) -> int:
        """Announce the block; memory bytes that one TransferData may carry."""
        request = self._announcement(block, await self._wire_size(data))
        erased, in_vain = block in self._erased, self._transfers.in_vain
        self._erased.discard(block)
        try:
            limit = await self._transfers.begin(request, may_restart=True, erased=erased)
        except EcuRefusedError as refusal:
            if erased:
                self._erased.add(block)
            if refusal.code in _WANTS_AN_ERASE and not (erased and in_vain):
                raise
            raise NotBegunError(refusal.refusal, refusal.said, refusal.code) from refusal
        trailer_bytes = len(trailer_of(self._steps.download, b""))
        return min(limit, self._writing.block_bytes or limit) - TRANSFER_HEADER_BYTES - trailer_bytes

    async def _wire_size(self, data: bytes) -> int:
        """What will travel; counted ahead only where the ECU is told."""
        step = self._steps.download
        told = "wire_size" in Template.of(step.open).fields if step else self._writing.announces == "wire"
        if not (told and self._writing.transforms):
            return len(data)
        count = 0
        for number, piece in enumerate(payload(data, self._writing.transforms, self._secret)):
            count += len(piece.wire)
            if number % _PIECES_IN_A_TURN == 0:
                await asyncio.sleep(0)
        return count

    def _announcement(self, block: Block, wire_size: int) -> Request[int]:
        """34; the length is that in memory, also where less travels, unless the definition says otherwise."""
        if self._steps.download is not None:
            values = {**self._values_of(block), "wire_size": wire_size}
            return announced(Template.of(self._steps.download.open).filled(values))
        place = block_number(block) if self._writing.by == "block_id" else self._wire_start(block.place)
        size = wire_size if self._writing.announces == "wire" else block.size
        return request_download(self._writing.data_format, self._span, place, size)

    def _pieces(self, data: bytes, share: Callable[[], int]) -> Iterator[Piece]:
        if not self._writing.transforms:
            return sliced(data, share)
        return messages(payload(data, self._writing.transforms, self._secret), share)

    async def _send(self, data: bytes, share: int, progress: Progress, hold: Hold | None) -> CloseCheck:
        """What the answer to 37 has to say.

        A refused 36 has not counted (ISO 14229-1, 14.5): it may be sent again under its number.

        What a wire that loses frames taught in a block that broke off still holds in the next try.
        """
        size = self._size or AdaptiveSize(share, SHORTEST_BYTES)
        self._size = size
        download = self._steps.download
        counter, check = 0, CloseCheck(download.close_proof if download else "none")
        for piece in self._pieces(data, lambda: min(share, size.size)):
            counter = next_counter(counter)
            request = framed(download, counter, piece.wire)
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
            self._meter.sent(request.payload[:TRANSFER_HEADER_BYTES], piece.wire, piece.memory_bytes)
            check.sent(piece.wire)
            if piece.memory_bytes:
                progress(piece.memory_bytes)
        return check


async def _holding(hold: Hold | None, act: Callable[[], Awaitable[None]]) -> None:
    """Repeat what is refused for as long as `hold` returns."""
    while True:
        try:
            return await act()
        except EcuRefusedError as refusal:
            if hold is None:
                raise
            await hold(refusal)
