"""Steps that give something back: a field of the identity, a piece of memory."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.definitions.place_steps import Fetch, Tell
from appliance.definitions.step_kinds import Step
from appliance.definitions.template import Template
from appliance.protocols.access import Refusal
from appliance.protocols.request import Request, exactly, positive, something
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.steps.asking import carry_out


async def fetch(client: UdsClient, steps: Sequence[Step], at: int, size: int) -> bytes:
    """One piece of memory; the caller sees to it that answers are in step. Raises AccessError."""
    values = {"start": at, "size": size, "last": at + size - 1}
    found = b""
    for step in steps:
        if isinstance(step, Fetch):
            found = await client.ask(_piece(step, values, size), attempts=1, prove=False)
            found = found[step.skip_bytes :]
        else:
            await carry_out(client, [step], values, Refusal.CONDITIONS, harmless=True)
    return found


def told_by(step: Tell) -> Request[bytes]:
    """The request for one field of the identity; its record is not yet cut to the field."""
    payload = bytes.fromhex(step.send)
    return Request(payload, positive(payload, len(payload) - 1), something, idempotent=True)


def field_in(step: Tell, record: bytes) -> bytes:
    """The field's own bytes; fewer where the record is shorter."""
    return record[step.at : None if step.length is None else step.at + step.length]


def _piece(step: Fetch, values: dict[str, int], size: int) -> Request[bytes]:
    payload = Template.of(step.send).filled(values)
    decode = exactly(step.skip_bytes + size)
    return Request(payload, positive(payload, 0), decode, idempotent=True, lookalike=True)
