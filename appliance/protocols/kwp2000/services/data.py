"""Identification, fault codes, seed and key (ISO 14230-3, 6.3, 7, 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.protocols.access import Dtc
from appliance.protocols.readable import fault_code
from appliance.protocols.request import Request, nothing, positive, something

_ALL_GROUPS = b"\xff\x00"
_REQUESTED_STATUS = 0x02
_GRANTED = 0x34
_STATUS_BYTES = 4
_NOT_NOW = {0x01: "it cannot be programmed", 0x04: "its flash is defective", 0x08: "its EEPROM has an error"}
_PRECONDITIONS = {0x01: "the engine runs", 0x02: "the immobiliser is not satisfied", 0x04: "it is locked out"}


def read_identification(option: int) -> Request[bytes]:
    """1A: the record of one option."""
    payload = bytes((0x1A, option))
    return Request(payload, positive(payload, 1), something, idempotent=True)


@dataclass(frozen=True, slots=True)
class FlashStatus:
    """What an ECU says of its own programming (sources: vw-me7)."""

    status: int
    attempts: int
    successes: int
    preconditions: int

    def obstacles(self) -> tuple[str, ...]:
        """Why it cannot be programmed now. That an earlier programming was not finished is none."""
        told = [word for bit, word in _NOT_NOW.items() if self.status & bit]
        return (*told, *(word for bit, word in _PRECONDITIONS.items() if self.preconditions & bit))


def flash_status(option: int) -> Request[FlashStatus]:
    """1A of the record that tells it."""
    payload = bytes((0x1A, option))
    return Request(payload, positive(payload, 1), _flash_status, idempotent=True)


def _flash_status(rest: bytes) -> FlashStatus:
    if len(rest) != _STATUS_BYTES:
        raise ValueError(f"{len(rest)} bytes of status instead of {_STATUS_BYTES}")
    return FlashStatus(*rest)


def read_dtcs() -> Request[tuple[Dtc, ...]]:
    """18: every stored fault code with its status byte."""
    payload = bytes((0x18, _REQUESTED_STATUS)) + _ALL_GROUPS
    return Request(payload, b"\x58", _dtcs, idempotent=True)


def clear_dtcs() -> Request[None]:
    """14, all groups."""
    payload = b"\x14" + _ALL_GROUPS
    return Request(payload, positive(payload, 2), nothing, idempotent=True)


def request_seed(level: int) -> Request[bytes]:
    """27 with an odd level; all zeroes where it is open already."""
    payload = bytes((0x27, level))
    return Request(payload, positive(payload, 1), something, idempotent=True)


def send_key(level: int, key: bytes) -> Request[None]:
    """27 with the level behind: each wrong one counts, so it is never sent twice."""
    payload = bytes((0x27, level + 1)) + key
    return Request(payload, positive(payload, 1), _granted())


def _granted() -> Callable[[bytes], None]:
    def decode(rest: bytes) -> None:
        if rest not in (b"", bytes((_GRANTED,))):
            raise ValueError(f"{rest.hex(' ').upper()} grants nothing")

    return decode


def _dtcs(rest: bytes) -> tuple[Dtc, ...]:
    if not rest or len(rest) != 1 + 3 * rest[0]:
        raise ValueError("the count of fault codes does not fit")
    found = (rest[at : at + 3] for at in range(1, len(rest), 3))
    return tuple(Dtc(fault_code(int.from_bytes(one[:2])), one[2]) for one in found)
