"""Has the ECU prove its own memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.step_kinds import Wait
from appliance.definitions.steps import AskStep
from appliance.protocols.access import Block, Refusal
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.hashes import hash_of
from appliance.protocols.uds.services.memory import SpanFormat
from appliance.protocols.uds.services.routine import start_routine
from appliance.protocols.uds.status import require_success, succeeded
from appliance.protocols.uds.steps.asking import ask, carry_out, values_of
from appliance.protocols.uds.writing import short_block_name


class MemoryProof:
    """The routines of a definition's checking table."""

    def __init__(self, client: UdsClient, definition: UdsAccessDefinition) -> None:
        self._client = client
        self._checking = definition.checking
        self._wire_start = definition.wire_start
        self._prove, self._commit = definition.steps.prove, definition.steps.commit
        writing = definition.writing
        by_address = writing.by == "address"
        self._span = SpanFormat(writing.address_bytes, writing.size_bytes) if by_address else SpanFormat()

    async def proves_equal(self, block: Block, expected: bytes) -> bool | None:
        """Whether the ECU calls the block equal to `expected`, or, by style `status`, good at all.

        None where it offers no routine, or none for this block.
        """
        checking = self._checking
        if self._prove is not None:
            return await self._proven_by_steps(self._prove, block)
        named = self._named(block)
        if checking.routine is None or named is None:
            return None
        own = hash_of(checking.hash_kind, expected)
        if checking.style == "hash_range":
            return await self._run(checking.routine, named, len(own)) == own
        if checking.style == "compare_block":
            named += len(own).to_bytes(2)
        options = named if checking.style == "status" else named + own
        return succeeded(await self._run(checking.routine, options, checking.status_bytes))

    def _named(self, block: Block) -> bytes | None:
        """How the block is named to the routine; None where nothing names it."""
        if self._checking.style == "compare_block":
            return None if block.block_id is None else short_block_name(block)
        try:
            payload = self._checking.payload_of(block.region, block.start)
        except KeyError:
            return None
        return self._span.encode(self._wire_start(block.place), block.size) if payload is None else payload

    async def check_dependencies(self) -> None:
        """Have the ECU judge all its memory. Raises EcuRefusedError PROGRAMMING if it is not good."""
        if self._commit is not None:
            await carry_out(self._client, self._commit, {}, Refusal.PROGRAMMING)
            return
        routine = self._checking.dependencies_routine
        if routine is not None:
            record = await self._run(routine, b"", self._checking.dependencies_status_bytes)
            require_success(record, "ecu.check_failed")

    async def _proven_by_steps(self, steps: Sequence[AskStep], block: Block) -> bool:
        """Whether the record of the one request is the good one; a refusal stays a refusal."""
        good = True
        for step in steps:
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
            else:
                record = await ask(
                    self._client, step, values_of(block, self._wire_start(block.place)), harmless=True
                )
                good = good and record == bytes.fromhex(step.good)
        return good

    async def _run(self, routine: int, options: bytes, record_bytes: int) -> bytes:
        request = start_routine(routine, options, record_bytes=record_bytes, idempotent=True)
        return await self._client.ask(request)
