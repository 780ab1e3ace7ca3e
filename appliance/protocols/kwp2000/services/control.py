"""Sessions with their bit rate, timing parameters, tester present, ends (ISO 14230-3, 6)."""

from __future__ import annotations

from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.request import Request, exactly, nothing, positive

STANDARD_SESSION, PROGRAMMING_SESSION = 0x81, 0x85
_LIMITS, _SET = 0x00, 0x03
_VALUES = 5


def start_session(session: int, rate_code: int | None = None) -> Request[int]:
    """10, with the byte of a bit rate that both sides change to once it is answered.

    Decodes to the second byte of the answer: above 0 the channel will drop (sources: kwp-routines). Not
    idempotent with a rate: after a lost answer nobody knows the rate that the ECU has.
    """
    payload = bytes((0x10, session)) + (b"" if rate_code is None else bytes((rate_code,)))
    return Request(payload, positive(payload, 1), _optional_byte, idempotent=rate_code is None)


def read_timing_limits() -> Request[bytes]:
    """83 00: five values."""
    payload = bytes((0x83, _LIMITS))
    return Request(payload, positive(payload, 1), exactly(_VALUES), idempotent=True)


def set_timing(timing: KwpTiming) -> Request[None]:
    """83 03: in force once it is answered."""
    payload = bytes((0x83, _SET)) + timing.record()
    return Request(payload, positive(payload, 1), nothing)


def tester_present() -> Request[None]:
    """3E: answered in every session, so it also tells that the ECU is through with earlier requests."""
    return Request(b"\x3e", b"\x7e", nothing, idempotent=True)


def stop_communication() -> Request[None]:
    """82: the ECU falls asleep, and counts the session as cleanly ended."""
    return Request(b"\x82", b"\xc2", nothing)


def reset_ecu(kind: int = 0x01) -> Request[None]:
    """11: a second one would reset an ECU that has just started."""
    return Request(bytes((0x11, kind)), b"\x51", nothing)


def _optional_byte(rest: bytes) -> int:
    if len(rest) > 1:
        raise ValueError(f"{len(rest)} bytes behind the session")
    return rest[0] if rest else 0
