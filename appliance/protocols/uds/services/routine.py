"""RoutineControl (ISO 14229-1, 13.2)."""

from __future__ import annotations

from appliance.protocols.uds.request import Request, positive, raw

_START = 0x01
_RESULTS = 0x03


def start_routine(routine: int, options: bytes = b"", *, idempotent: bool = False) -> Request[bytes]:
    """31 01: the routine's status record."""
    payload = bytes((0x31, _START)) + routine.to_bytes(2) + options
    return Request(payload, positive(payload, 3), raw, idempotent=idempotent)


def routine_results(routine: int) -> Request[bytes]:
    """31 03: the status record of a routine started before."""
    payload = bytes((0x31, _RESULTS)) + routine.to_bytes(2)
    return Request(payload, positive(payload, 3), raw, idempotent=True)
