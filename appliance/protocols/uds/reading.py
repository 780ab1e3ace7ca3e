"""Reads memory by address (0x23) or by upload (0x35, 0x36, 0x37)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from appliance.contract.phrases import phrase
from appliance.definitions.access.uds_memory import Reading
from appliance.definitions.place_steps import Upload, longest_piece
from appliance.definitions.step_kinds import Step
from appliance.definitions.template import Template
from appliance.protocols.access import AccessError, EcuRefusedError, EcuSilentError, Refusal
from appliance.protocols.request import Request
from appliance.protocols.uds.client import LOST, REPEAT_BACK_OFF_S, UdsClient
from appliance.protocols.uds.conversation import BrokenTransferError, MisfitAnswerError, StepLostError
from appliance.protocols.uds.metering import TransferMeter
from appliance.protocols.uds.services.memory import SpanFormat, read_memory
from appliance.protocols.uds.services.transfer import (
    TRANSFER_HEADER_BYTES,
    announced,
    fetch_block,
    next_counter,
    request_upload,
)
from appliance.protocols.uds.sizing import SHORTEST_BYTES, AdaptiveSize
from appliance.protocols.uds.steps.asking import carry_out
from appliance.protocols.uds.steps.download import around
from appliance.protocols.uds.steps.fetching import fetch
from appliance.protocols.uds.transfer import Transfers

_PLAIN = 0x00
_ANY_LENGTH = 1 << 32
_FETCHED = b"\x63"
_PROVEN_BYTES = 64 * 1024
"""So much may be read until the ECU has to prove that requests and answers are in step."""


class MemoryReader:
    """Reads any span; what a definition calls block_bytes is one PDU's share of it."""

    def __init__(
        self,
        client: UdsClient,
        reading: Reading,
        transfers: Transfers,
        meter: TransferMeter,
        steps: Sequence[Step] = (),
    ) -> None:
        """`steps` say how a piece is asked for, where the reading table hands over to them."""
        self._steps = steps
        self._upload_step = next((step for step in steps if isinstance(step, Upload)), None)
        self._client = client
        self._reading = reading
        self._transfers = transfers
        self._span = SpanFormat(reading.address_bytes, reading.size_bytes)
        self._meter = meter
        self._piece = AdaptiveSize(reading.block_bytes, SHORTEST_BYTES)
        self._batch_bytes = _PROVEN_BYTES

    async def read(self, start: int, length: int, *, upwards: bool = True) -> bytes:
        """Exactly `length` bytes. Raises AccessError; what was not received is never made up.

        `upwards` is the order of the pieces by address; an upload knows no other.
        """
        with self._meter.moving():
            if self._reading.method == "upload" or self._upload_step is not None:
                return await self._read_by_upload(start, length)
            return await self._read_by_address(start, length, upwards)

    async def _read_by_address(self, start: int, length: int, upwards: bool) -> bytes:
        """Pieces are read on trust, and kept once the ECU has shown that it is in step."""
        low, high, failures = start, start + length, 0
        lower, upper = bytearray(), bytearray()
        while low < high:
            try:
                data = await self._batch(low, high, upwards)
            except LOST as error:
                failures = await self._bear(error, failures)
                continue
            failures = 0
            if upwards:
                lower += data
                low += len(data)
            else:
                upper[:0] = data
                high -= len(data)
        return bytes(lower + upper)

    async def _batch(self, low: int, high: int, upwards: bool) -> bytes:
        """The next pieces of a span from its start, or from its end. Raises StepLostError if one is not its
        request's answer.
        """
        if self._client.in_doubt:
            await self._client.proves_step()
        parts: list[bytes] = []
        left, moved = high - low, 0
        while moved < min(left, self._batch_bytes) and not self._client.lost_step:
            size = min(self._piece.size, left - moved)
            at = low + moved if upwards else high - moved - size
            parts.append(await self._piece_at(at, size))
            moved += size
        if not await self._client.proves_step():
            raise StepLostError(phrase("ecu.answers_apart_reading"))
        self._proven(parts)
        return b"".join(parts if upwards else reversed(parts))

    async def _piece_at(self, at: int, size: int) -> bytes:
        """One request's share; whoever asks sees to it that answers are in step."""
        if not self._steps:
            return await self._client.ask(read_memory(self._span, at, size), attempts=1, prove=False)
        return await fetch(self._client, self._steps, at, size)

    def _proven(self, parts: list[bytes]) -> None:
        self._batch_bytes = min(_PROVEN_BYTES, self._batch_bytes * 2)
        header = _FETCHED
        for part in parts:
            self._piece.moved()
            self._meter.received(header, part)

    async def _bear(self, error: AccessError, failures: int) -> int:
        """Pause after a failure; raise it after four that shorter pieces did not help.

        From then on each piece is proven alone, and more again while that goes well.
        """
        self._client.repeats += 1
        torn = isinstance(error, BrokenTransferError) and not isinstance(error, StepLostError)
        shorter = torn and self._piece.lost()
        self._batch_bytes = self._piece.size
        failures += not shorter
        if failures > len(REPEAT_BACK_OFF_S):
            raise error
        await asyncio.sleep(REPEAT_BACK_OFF_S[max(failures - 1, 0)])
        return failures

    async def _read_by_upload(self, start: int, length: int) -> bytes:
        """Uploads that break off go on behind the last byte received, three times without any progress."""
        data, failures = bytearray(), 0
        while len(data) < length:
            before, left = len(data), length - len(data)
            whole = self._piece.size == self._reading.block_bytes
            most = self._longest if whole else self._piece.size
            try:
                await self._upload(start + before, min(left, most), data)
            except (EcuSilentError, BrokenTransferError, MisfitAnswerError, EcuRefusedError) as error:
                if not _can_resume(error):
                    raise
                failures = await self._bear(error, 0 if len(data) > before else failures)
        return bytes(data)

    async def _upload(self, start: int, length: int, data: bytearray) -> None:
        if self._client.in_doubt:
            await self._client.proves_step()
        before = len(data)
        values = {"start": start, "size": length, "last": start + length - 1}
        first, then = around(Upload, self._steps)
        await carry_out(self._client, first, values, Refusal.CONDITIONS, harmless=True)
        limit = await self._transfers.begin(self._announcement(values))
        try:
            await self._fetch(before + length, limit - TRANSFER_HEADER_BYTES, data)
            await self._transfers.finish()
            await carry_out(self._client, then, values, Refusal.CONDITIONS, harmless=True)
            if self._client.lost_step:
                raise StepLostError(phrase("ecu.answers_apart_upload"))
        except (MisfitAnswerError, StepLostError):
            del data[before:]
            raise

    @property
    def _longest(self) -> int:
        """Of one upload, in bytes."""
        return _ANY_LENGTH if self._upload_step is None else longest_piece(self._upload_step)

    def _announcement(self, values: Mapping[str, int]) -> Request[int]:
        if self._upload_step is None:
            return request_upload(_PLAIN, self._span, values["start"], values["size"])
        return announced(Template.of(self._upload_step.open).filled(values))

    async def _fetch(self, end: int, limit: int, data: bytearray) -> None:
        """Blocks until `data` is `end` long: all of the size of the first, but for the last."""
        counter, share = 0, limit
        while len(data) < end:
            counter = next_counter(counter)
            request = fetch_block(counter)
            repeats = self._client.repeats
            part = await self._client.ask(request)
            left = end - len(data)
            if not 0 < len(part) <= left:
                raise MisfitAnswerError(phrase("ecu.block_too_long", bytes=len(part), left=left))
            share = min(share, len(part)) if counter == 1 else share
            if len(part) != min(share, left):
                raise MisfitAnswerError(phrase("ecu.block_in_between", bytes=len(part), share=share))
            data += part
            self._meter.received(request.echo, part)
            if self._client.repeats == repeats:
                self._piece.moved()
            else:
                self._piece.lost()


def _can_resume(error: AccessError) -> bool:
    """Lost frames, and counters that ran apart; not a link that is gone or an ECU that will not."""
    return not isinstance(error, EcuRefusedError) or error.refusal is Refusal.SEQUENCE
