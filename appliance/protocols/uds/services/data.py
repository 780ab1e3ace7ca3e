"""Data by identifier (ISO 14229-1, 11.2 and 11.7)."""

from __future__ import annotations

from appliance.protocols.request import Request, exactly, nothing, positive, something

ACTIVE_SESSION_DID = 0xF186
VIN_DID = 0xF190


def read_data(did: int, size: int | None = None) -> Request[bytes]:
    """22 did: the data record, which is never empty, and of `size` bytes where that is known."""
    payload = bytes((0x22,)) + did.to_bytes(2)
    decode = something if size is None else exactly(size)
    return Request(payload, positive(payload, 2), decode, idempotent=True)


def active_session() -> Request[bytes]:
    """22 F186: one byte, the sub-function of 0x10 that led there."""
    return read_data(ACTIVE_SESSION_DID, 1)


def write_data(did: int, value: bytes) -> Request[None]:
    """2E did value: idempotent, the same value is written again."""
    payload = bytes((0x2E,)) + did.to_bytes(2) + value
    return Request(payload, positive(payload, 2), nothing, idempotent=True)
