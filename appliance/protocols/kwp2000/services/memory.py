"""Reading by address, download without a block counter, routines (ISO 14230-3, 7, 8, 9)."""

from __future__ import annotations

from appliance.protocols.request import Request, exactly, nothing, positive, something

MOST_READ_BYTES = 254
"""Of a message of 255."""
_ADDRESS_BYTES = 3


def read_memory(start: int, size: int) -> Request[bytes]:
    """23 address size. The answer does not say what was read."""
    payload = b"\x23" + start.to_bytes(_ADDRESS_BYTES) + bytes((size,))
    return Request(payload, b"\x63", exactly(size), idempotent=True, lookalike=True)


def request_download(start: int, size: int, data_format: int = 0) -> Request[int]:
    """34: the longest 36 that the ECU takes, its service byte included."""
    payload = b"\x34" + start.to_bytes(_ADDRESS_BYTES) + bytes((data_format,)) + size.to_bytes(_ADDRESS_BYTES)
    return Request(payload, b"\x74", _longest)


def request_upload(start: int, size: int) -> Request[int]:
    """35, plain: the longest answer to 36, its service byte included."""
    payload = b"\x35" + start.to_bytes(_ADDRESS_BYTES) + b"\x00" + size.to_bytes(_ADDRESS_BYTES)
    return Request(payload, b"\x75", _longest)


def next_piece() -> Request[bytes]:
    """36 of an upload: no counter says which piece came, so a second one would be the next."""
    return Request(b"\x36", b"\x76", something, lookalike=True)


def transfer(data: bytes) -> Request[None]:
    """36: has no counter, so a second one would be programmed behind the first."""
    return Request(b"\x36" + data, b"\x76", nothing)


def end_transfer() -> Request[None]:
    """37."""
    return Request(b"\x37", b"\x77", nothing)


def start_routine(routine: int, parameters: bytes) -> Request[int]:
    """31: decodes to the byte behind the routine; above 0 the channel will drop (sources: kwp-routines)."""
    payload = bytes((0x31, routine)) + parameters
    return Request(payload, positive(payload, 1), _optional_byte)


def routine_result(routine: int) -> Request[int]:
    """33: refused by 23 while it runs; 0 is good."""
    payload = bytes((0x33, routine))
    return Request(payload, positive(payload, 1), _optional_byte, idempotent=True)


def span(start: int, size: int) -> bytes:
    """First and last address, as routines are given them."""
    return start.to_bytes(_ADDRESS_BYTES) + (start + size - 1).to_bytes(_ADDRESS_BYTES)


def _longest(rest: bytes) -> int:
    if len(rest) not in (1, 2) or int.from_bytes(rest) < 2:
        raise ValueError(f"{rest.hex(' ').upper()} is no length of a block")
    return int.from_bytes(rest)


def _optional_byte(rest: bytes) -> int:
    if len(rest) > 1:
        raise ValueError(f"{len(rest)} bytes behind the routine")
    return rest[0] if rest else 0
