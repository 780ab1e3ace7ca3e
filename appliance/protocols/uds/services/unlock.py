"""SecurityAccess and the one Authentication sub-function that only asks (ISO 14229-1, 10.4 and 10.6)."""

from __future__ import annotations

from appliance.protocols.request import Request, exactly, nothing, positive

_AUTHENTICATION_CONFIGURATION = 0x08


def request_seed(level: int, size: int) -> Request[bytes]:
    """27 odd: the seed of `size` bytes; all zeroes means that this level is unlocked already."""
    payload = bytes((0x27, level))
    return Request(payload, positive(payload, 1), exactly(size), idempotent=True)


def send_key(level: int, key: bytes) -> Request[None]:
    """27 even: never repeated blindly, a wrong key counts as an attempt."""
    payload = bytes((0x27, level + 1)) + key
    return Request(payload, positive(payload, 1), nothing)


def _return_value(rest: bytes) -> int:
    if len(rest) != 1:
        raise ValueError("authenticationReturnParameter is not one byte")
    return rest[0]


def authentication_configuration() -> Request[int]:
    """29 08: which kind of certificate authentication the ECU has, as authenticationReturnParameter."""
    payload = bytes((0x29, _AUTHENTICATION_CONFIGURATION))
    return Request(payload, positive(payload, 1), _return_value, idempotent=True)
