"""Requests of a definition's steps: one question, repeated while the ECU says that it is busy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext

from appliance.contract.phrases import phrase
from appliance.definitions.step_kinds import Request as RequestStep
from appliance.definitions.step_kinds import Step, Wait
from appliance.definitions.template import Template
from appliance.protocols.access import Block, EcuRefusedError, Refusal
from appliance.protocols.request import Request, positive
from appliance.protocols.uds.client import UdsClient

_ROUTINE = 0x31
_ECHOED = {0x1A: 1, 0x20: 0, 0x22: 2, 0x28: 1, 0x2E: 2, _ROUTINE: 3, 0x3E: 1, 0x82: 0, 0x85: 1}
Values = Mapping[str, int]


def values_of(block: Block, start: int) -> Values:
    """What templates may name of a block whose first address on the wire is `start`."""
    named = {"start": start, "size": block.size, "last": start + block.size - 1}
    return named if block.block_id is None else {**named, "block_id": block.block_id}


async def ask(client: UdsClient, step: RequestStep, values: Values, *, harmless: bool = False) -> bytes:
    """The record that the ECU comes to, good or bad; b"" where the step may fail and did.

    `harmless` says that it may be asked again where an answer was lost. Raises EcuRefusedError BUSY for an
    ECU that is never done, and what the client raises.
    """
    with client.quiet() if step.quiet else nullcontext():
        return await _asked(client, step, values, harmless)


async def _asked(client: UdsClient, step: RequestStep, values: Values, harmless: bool) -> bytes:
    request = _request(step, step.send, values, harmless)
    if step.may_fail:
        return await client.attempt(request) or b""
    for left in reversed(range(step.most)):
        try:
            record = await client.ask(request)
        except EcuRefusedError as refusal:
            if refusal.code is None or refusal.code not in bytes.fromhex(step.passes):
                raise
            return bytes.fromhex(step.good)
        if not step.busy or record != bytes.fromhex(step.busy):
            return record
        if left:
            await asyncio.sleep(step.every_ms / 1000)
        if step.poll:
            request = _request(step, step.poll, values, True)
    raise EcuRefusedError(Refusal.BUSY, phrase("ecu.still_busy", times=step.most, request=str(step.send)))


async def carry_out(
    client: UdsClient, steps: Iterable[Step], values: Values, refusal: Refusal, *, harmless: bool = False
) -> None:
    """Requests and waits in their order. Raises EcuRefusedError of that class for a bad record."""
    for step in steps:
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, RequestStep):
            record = await ask(client, step, values, harmless=harmless)
            if not step.may_fail and record != bytes.fromhex(step.good):
                told = record.hex().upper() or "nothing"
                raise EcuRefusedError(
                    refusal, phrase("ecu.ended_with", request=str(step.send), told=told, wanted=step.good)
                )


def _request(step: RequestStep, send: str, values: Values, harmless: bool) -> Request[bytes]:
    payload = Template.of(send).filled(values)
    routine = payload[0] == _ROUTINE
    return Request(
        payload,
        positive(payload, _ECHOED[payload[0]]),
        _any_record if step.may_fail else _as_long_as(step),
        idempotent=harmless or (bool(step.busy) and step.poll is None) or not routine,
        lookalike=routine,
    )


def _any_record(rest: bytes) -> bytes:
    return rest


def _as_long_as(step: RequestStep) -> Callable[[bytes], bytes]:
    """Records of another length than both that the step knows are not this request's."""
    lengths = {len(step.good) // 2} | ({len(step.busy) // 2} if step.busy else set())

    def decode(rest: bytes) -> bytes:
        if len(rest) not in lengths:
            raise ValueError(f"a record of {len(rest)} bytes")
        return rest

    return decode
