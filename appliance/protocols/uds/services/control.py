"""Sessions, reset, communication and DTC switches, tester present (ISO 14229-1, 10.2 to 10.8)."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.protocols.request import Request, nothing, positive

DEFAULT_SESSION = 0x01
HARD_RESET = 0x01
SUPPRESS_ANSWER = 0x80
TESTER_PRESENT_SILENT = bytes((0x3E, SUPPRESS_ANSWER))

_NORMAL_COMMUNICATION = 0x01
_ENABLE_RX_AND_TX = 0x00
_DISABLE_RX_AND_TX = 0x03
_DTC_SETTING_ON = 0x01
_DTC_SETTING_OFF = 0x02


@dataclass(frozen=True, slots=True)
class SessionTiming:
    """What the ECU promises for the session it entered: seconds to the first answer, and after each 0x78."""

    p2_s: float
    p2_star_s: float


def _session_timing(rest: bytes) -> SessionTiming | None:
    if not rest:
        return None
    if len(rest) != 4:
        raise ValueError("sessionParameterRecord is not four bytes long")
    p2_ms, p2_star_10_ms = int.from_bytes(rest[:2]), int.from_bytes(rest[2:4])
    return SessionTiming(p2_ms / 1000, p2_star_10_ms / 100)


def change_session(session: int) -> Request[SessionTiming | None]:
    """10 ss, answered 50 ss P2 (1 ms) P2* (10 ms); None where an old ECU leaves the timing out."""
    payload = bytes((0x10, session))
    return Request(payload, positive(payload, 1), _session_timing, idempotent=True)


def reset_ecu(kind: int = HARD_RESET) -> Request[None]:
    """11 kind: not idempotent, a second one would reset an ECU that has just started."""
    payload = bytes((0x11, kind))
    return Request(payload, positive(payload, 1), nothing)


def switch_communication(enabled: bool) -> Request[None]:
    """28: normal messages of the ECU on or off."""
    control = _ENABLE_RX_AND_TX if enabled else _DISABLE_RX_AND_TX
    payload = bytes((0x28, control, _NORMAL_COMMUNICATION))
    return Request(payload, positive(payload, 1), nothing, idempotent=True)


def switch_dtc_setting(enabled: bool) -> Request[None]:
    """85: storing of new fault codes on or off."""
    payload = bytes((0x85, _DTC_SETTING_ON if enabled else _DTC_SETTING_OFF))
    return Request(payload, positive(payload, 1), nothing, idempotent=True)


def verify_rate(to_bps: int, number: int | None) -> Request[None]:
    """87 01 and the rate's number, or 87 02 and the rate in three bytes: would the ECU change to it?"""
    payload = b"\x87\x02" + to_bps.to_bytes(3) if number is None else bytes((0x87, 0x01, number))
    return Request(payload, positive(payload, 1), nothing, idempotent=True)


def change_rate() -> Request[None]:
    """87 03, answered at the old rate: not idempotent, for the ECU may have gone over without being heard."""
    payload = bytes((0x87, 0x03))
    return Request(payload, positive(payload, 1), nothing)


def tester_present() -> Request[None]:
    """3E 00: answered in every session, so it also tells that the ECU is through with earlier requests."""
    payload = bytes((0x3E, 0x00))
    return Request(payload, positive(payload, 1), nothing, idempotent=True)
