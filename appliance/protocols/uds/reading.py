"""Reads memory by address (0x23) or by upload (0x35, 0x36, 0x37)."""

from __future__ import annotations

import asyncio

from appliance.definitions.schema import Reading
from appliance.protocols.access import AccessError, EcuRefusedError, EcuSilentError, Refusal
from appliance.protocols.uds.client import REPEAT_BACK_OFF_S, BrokenTransferError, UdsClient
from appliance.protocols.uds.metering import TransferMeter
from appliance.protocols.uds.services.memory import SpanFormat, read_memory
from appliance.protocols.uds.services.transfer import (
    fetch_block,
    next_counter,
    request_upload,
)
from appliance.protocols.uds.transfer import Transfers

_PLAIN = 0x00


class MemoryReader:
    """Reads any span; what a definition calls block_bytes is one PDU's share of it."""

    def __init__(
        self, client: UdsClient, reading: Reading, transfers: Transfers, meter: TransferMeter
    ) -> None:
        self._client = client
        self._reading = reading
        self._transfers = transfers
        self._span = SpanFormat(reading.address_bytes, reading.size_bytes)
        self._meter = meter

    async def read(self, start: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises AccessError; what was not received is never made up."""
        data = bytearray()
        with self._meter.moving():
            if self._reading.method == "by_address":
                await self._read_by_address(start, length, data)
            else:
                await self._read_by_upload(start, length, data)
        return bytes(data)

    async def _read_by_address(self, start: int, length: int, data: bytearray) -> None:
        while len(data) < length:
            size = min(self._reading.block_bytes, length - len(data))
            request = read_memory(self._span, start + len(data), size)
            part = await self._client.ask(request)
            data += part
            self._meter.received(request.echo, part)

    async def _read_by_upload(self, start: int, length: int, data: bytearray) -> None:
        """Uploads that break off go on behind the last byte received, three times without any progress."""
        failures = 0
        while len(data) < length:
            before = len(data)
            try:
                await self._upload(start + before, length - before, data)
            except (EcuSilentError, BrokenTransferError, EcuRefusedError) as error:
                failures = 1 if len(data) > before else failures + 1
                if failures > len(REPEAT_BACK_OFF_S) or not _can_resume(error):
                    raise
                await asyncio.sleep(REPEAT_BACK_OFF_S[failures - 1])

    async def _upload(self, start: int, length: int, data: bytearray) -> None:
        await self._transfers.begin(request_upload(_PLAIN, self._span, start, length))
        counter, end = 0, len(data) + length
        while len(data) < end:
            counter = next_counter(counter)
            request = fetch_block(counter)
            part = await self._client.ask(request)
            if not 0 < len(part) <= end - len(data):
                raise AccessError(f"a block of {len(part)} bytes came where {end - len(data)} were left")
            data += part
            self._meter.received(request.echo, part)
        await self._transfers.finish()


def _can_resume(error: AccessError) -> bool:
    """Lost frames, and counters that ran apart; not a link that is gone or an ECU that will not."""
    return not isinstance(error, EcuRefusedError) or error.refusal is Refusal.SEQUENCE
