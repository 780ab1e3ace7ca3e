"""Data by identifier (ISO 14229-1, 11.2 and 11.7)."""

from __future__ import annotations

from appliance.protocols.uds.request import Request, nothing, positive, raw

ACTIVE_SESSION_DID = 0xF186
VIN_DID = 0xF190


def read_data(did: int) -> Request[bytes]:
    """22 did: the data record."""
    payload = bytes((0x22,)) + did.to_bytes(2)
    return Request(payload, positive(payload, 2), raw, idempotent=True)


def write_data(did: int, value: bytes) -> Request[None]:
    """2E did value: idempotent, the same value is written again."""
    payload = bytes((0x2E,)) + did.to_bytes(2) + value
    return Request(payload, positive(payload, 2), nothing, idempotent=True)
