"""Uploads the owner's secondary boot loader to RAM and starts it (sources: `vbf`)."""

from __future__ import annotations

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.phrases import phrase
from appliance.definitions.step_kinds import Loader
from appliance.definitions.template import Template
from appliance.definitions.vbf import MAGIC, VbfBlock, parse_vbf
from appliance.protocols.access import EcuRefusedError, Refusal
from appliance.protocols.request import Request, exactly, positive
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.services.transfer import (
    TRANSFER_HEADER_BYTES,
    announced,
    exit_transfer,
    next_counter,
    send_block,
)
from appliance.protocols.uds.steps.download import CloseCheck

_IN_THE_WAY = frozenset({0x22, 0x24, 0x70})


async def start_loader(client: UdsClient, step: Loader, image: bytes) -> None:
    """Nothing where it runs already. Raises AccessError; the ECU's flash is not touched."""
    if await client.attempt(_probe(step)) is not None:
        return
    for block in blocks_of_loader(step, image):
        await _upload(client, step, block)
    values = {"address": step.address, "size": len(image), "entry": step.entry}
    payload = Template.of(step.start).filled(values)
    record = bytes.fromhex(step.started)
    run: Request[bytes] = Request(payload, positive(payload, 3), exactly(len(record)), lookalike=True)
    if (told := await client.ask(run)) != record:
        why = phrase("loader.not_started", told=told.hex().upper(), wanted=step.started)
        raise EcuRefusedError(Refusal.CONDITIONS, why)


def blocks_of_loader(step: Loader, image: bytes) -> tuple[VbfBlock, ...]:
    """Where the owner's file goes. Raises PitboxError for a container of another loader."""
    if not image.startswith(MAGIC):
        return (VbfBlock(step.address, image),)
    try:
        found = parse_vbf(image)
        placed = (found.blocks[0].address, found.call)
    except ValueError as error:
        raise _wrong(step, phrase("malformed", technical_text=str(error))) from error
    if placed != (step.address, step.entry):
        raise _wrong(
            step,
            phrase(
                "loader.placed_elsewhere",
                address=placed[0],
                entry=placed[1] or 0,
                wanted_address=step.address,
                wanted_entry=step.entry,
            ),
        )
    return found.blocks


def _wrong(step: Loader, why: Phrase) -> PitboxError:
    return EngineError("SECRET_WRONG.loader", secret=step.secret, why=why)


async def _upload(client: UdsClient, step: Loader, block: VbfBlock) -> None:
    values = {"address": block.address, "size": len(block.data), "entry": step.entry}
    limit = await _begin(client, announced(Template.of(step.open).filled(values)))
    counter, check = 0, CloseCheck(step.close_proof)
    for at in range(0, len(block.data), limit - TRANSFER_HEADER_BYTES):
        counter = next_counter(counter)
        part = block.data[at : at + limit - TRANSFER_HEADER_BYTES]
        await client.ask(send_block(counter, part))
        check.sent(part)
    check.require(await client.ask(exit_transfer(check.record_bytes)))


def _probe(step: Loader) -> Request[bytes]:
    payload = bytes.fromhex(step.probe)
    return Request(payload, positive(payload, len(payload) - 1), bytes, idempotent=True)


async def _begin(client: UdsClient, request: Request[int]) -> int:
    """A transfer that an earlier life of this box left open is ended first."""
    try:
        return await client.ask(request)
    except EcuRefusedError as refusal:
        if refusal.code not in _IN_THE_WAY:
            raise
    await client.attempt(exit_transfer(None))
    return await client.ask(request)
