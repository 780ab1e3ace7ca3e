"""RoutineControl (ISO 14229-1, 13.2). An answer repeats the routine, and never what it was run on."""

from __future__ import annotations

from appliance.protocols.request import Request, exactly, positive

_START = 0x01
_RESULTS = 0x03


def start_routine(
    routine: int, options: bytes = b"", *, record_bytes: int, idempotent: bool = False
) -> Request[bytes]:
    """31 01: the routine's status record of `record_bytes`."""
    payload = bytes((0x31, _START)) + routine.to_bytes(2) + options
    return Request(payload, positive(payload, 3), exactly(record_bytes), idempotent, lookalike=True)


def routine_results(routine: int, *, record_bytes: int) -> Request[bytes]:
    """31 03: the status record of a routine started before."""
    payload = bytes((0x31, _RESULTS)) + routine.to_bytes(2)
    return Request(payload, positive(payload, 3), exactly(record_bytes), idempotent=True, lookalike=True)


def check_preconditions(routine: int) -> Request[bytes]:
    """31 01: a list of the conditions that are not met, of any length (sources: uds-preconditions)."""
    payload = bytes((0x31, _START)) + routine.to_bytes(2)
    return Request(payload, positive(payload, 3), bytes, idempotent=True)
