"""Pure encoders and decoders of the OBD-II modes Pitbox uses.

On CAN, mode and answer have the shape of UDS (answer = mode + 0x40, refusal = 7F mode code), so one client
asks both.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.protocols.access import Dtc
from appliance.protocols.readable import fault_code, text
from appliance.protocols.request import Request, exactly, nothing, positive

_CALID_BYTES = 16
_CVN_BYTES = 4
_VIN_BYTES = 17
_DTC_BYTES = 2


def _number(length: int) -> Callable[[bytes], int]:
    def decode(rest: bytes) -> int:
        return int.from_bytes(exactly(length)(rest))

    return decode


def _current(pid: int, length: int, per_bit: float) -> Request[float]:
    payload = bytes((0x01, pid))
    number = _number(length)
    return Request(payload, positive(payload, 1), lambda rest: number(rest) * per_bit, idempotent=True)


def engine_speed() -> Request[float]:
    """01 0C: crankshaft speed in revolutions per minute."""
    return _current(0x0C, 2, 0.25)


def vehicle_speed() -> Request[float]:
    """01 0D: road speed in km/h."""
    return _current(0x0D, 1, 1.0)


def module_voltage() -> Request[float]:
    """01 42: supply of the controller in volts."""
    return _current(0x42, 2, 0.001)


def _dtcs(rest: bytes) -> tuple[Dtc, ...]:
    """A count and that many fault codes; zeroes behind them are padding."""
    if not rest:
        raise ValueError("an answer without a count")
    codes = rest[1 : 1 + rest[0] * _DTC_BYTES]
    if len(codes) != rest[0] * _DTC_BYTES:
        raise ValueError("fewer fault codes than announced")
    if any(rest[1 + len(codes) :]):
        raise ValueError("more fault codes than announced")
    numbers = (int.from_bytes(codes[at : at + _DTC_BYTES]) for at in range(0, len(codes), _DTC_BYTES))
    return tuple(Dtc(fault_code(number)) for number in numbers if number)


def _dtc_mode(mode: int) -> Request[tuple[Dtc, ...]]:
    payload = bytes((mode,))
    return Request(payload, positive(payload, 0), _dtcs, idempotent=True)


def stored_dtcs() -> Request[tuple[Dtc, ...]]:
    """03: confirmed fault codes."""
    return _dtc_mode(0x03)


def pending_dtcs() -> Request[tuple[Dtc, ...]]:
    """07: fault codes of this or the last driving cycle that are not confirmed yet."""
    return _dtc_mode(0x07)


def permanent_dtcs() -> Request[tuple[Dtc, ...]]:
    """0A: fault codes that only the ECU itself can clear."""
    return _dtc_mode(0x0A)


def clear_emission_dtcs() -> Request[None]:
    """04: fault codes, freeze frames and readiness."""
    payload = b"\x04"
    return Request(payload, positive(payload, 0), nothing, idempotent=True)


def _items(length: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """A count and items of equal length; older ECUs leave the count out."""

    def decode(rest: bytes) -> tuple[bytes, ...]:
        counted = len(rest) % length == 1
        body = rest[1:] if counted else rest
        if not body or len(body) % length:
            raise ValueError(f"{len(rest)} bytes are no list of {length}-byte items")
        if counted and rest[0] != len(body) // length:
            raise ValueError(f"{len(body) // length} items came where {rest[0]} were announced")
        return tuple(body[at : at + length] for at in range(0, len(body), length))

    return decode


def _information(pid: int, decode: Callable[[bytes], tuple[str, ...]]) -> Request[tuple[str, ...]]:
    payload = bytes((0x09, pid))
    return Request(payload, positive(payload, 1), decode, idempotent=True)


def _texts(length: int) -> Callable[[bytes], tuple[str, ...]]:
    split = _items(length)
    return lambda rest: tuple(text(item) for item in split(rest))


def vin() -> Request[tuple[str, ...]]:
    """09 02: vehicle identification number."""
    return _information(0x02, _texts(_VIN_BYTES))


def calibration_ids() -> Request[tuple[str, ...]]:
    """09 04: one text per calibration."""
    return _information(0x04, _texts(_CALID_BYTES))


def calibration_numbers() -> Request[tuple[str, ...]]:
    """09 06: one verification number (CVN) of eight hex digits per calibration."""
    split = _items(_CVN_BYTES)
    return _information(0x06, lambda rest: tuple(item.hex().upper() for item in split(rest)))


def _name(rest: bytes) -> tuple[str, ...]:
    if len(rest) < 2:
        raise ValueError("an empty name")
    return (text(rest[1:]),)


def ecu_name() -> Request[tuple[str, ...]]:
    """09 0A: acronym and name of the controller."""
    return _information(0x0A, _name)
