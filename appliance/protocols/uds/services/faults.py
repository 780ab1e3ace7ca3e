"""Stored fault codes (ISO 14229-1, 12.2 and 12.3)."""

from __future__ import annotations

from appliance.protocols.access import Dtc
from appliance.protocols.readable import fault_code
from appliance.protocols.request import Request, nothing, positive

ALL_GROUPS = 0xFFFFFF
TEST_FAILED = 0x01
PENDING = 0x04
CONFIRMED = 0x08

_BY_STATUS_MASK = 0x02
_RECORD_BYTES = 4


def _record(record: bytes) -> Dtc:
    return Dtc(f"{fault_code(int.from_bytes(record[:2]))}-{record[2]:02X}", record[3])


def _records(rest: bytes) -> tuple[Dtc, ...]:
    """The records behind the availability mask; all-zero padding is no fault code."""
    if not rest:
        raise ValueError("an answer without DTCStatusAvailabilityMask")
    body = rest[1:]
    if any(body[len(body) // _RECORD_BYTES * _RECORD_BYTES :]):
        raise ValueError("a fault code record is cut off")
    starts = range(0, len(body) - _RECORD_BYTES + 1, _RECORD_BYTES)
    records = (body[at : at + _RECORD_BYTES] for at in starts)
    return tuple(_record(record) for record in records if any(record))


def dtcs_by_status(mask: int) -> Request[tuple[Dtc, ...]]:
    """19 02 mask: the fault codes of which a masked status bit is set."""
    payload = bytes((0x19, _BY_STATUS_MASK, mask))
    return Request(payload, positive(payload, 1), _records, idempotent=True)


def clear_dtcs(group: int = ALL_GROUPS) -> Request[None]:
    """14: idempotent, clearing twice leaves the same nothing."""
    payload = bytes((0x14,)) + group.to_bytes(3)
    return Request(payload, positive(payload, 0), nothing, idempotent=True)
