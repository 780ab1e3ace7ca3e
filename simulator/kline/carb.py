"""Messages of ISO 9141-2: three header bytes that name no length, so every request has that of its mode."""

from __future__ import annotations

from simulator.kline.framing import BrokenError, Heard

_REQUEST = bytes((0x68, 0x6A))
_ANSWER = bytes((0x48, 0x6B))
_TESTER_FIRST = 0xF0
_HEADER = 3
_REQUEST_BYTES = {1: 2, 2: 3, 3: 1, 4: 1, 5: 3, 6: 2, 7: 1, 8: 7, 9: 2}
"""Payload by mode (SAE J1979, on anything but CAN)."""


def whole_bytes(heard: bytes) -> int | None:
    """Length of the message that begins so; None while too little was heard. Raises BrokenError."""
    if not _REQUEST.startswith(heard[:2]):
        raise BrokenError(f"header {heard[:2].hex(' ')}")
    if len(heard) <= _HEADER:
        return None
    length = _REQUEST_BYTES.get(heard[_HEADER])
    if length is None:
        raise BrokenError(f"mode {heard[_HEADER]:02X}")
    return _HEADER + length + 1


def parse(heard: bytes) -> Heard:
    """A whole message. Raises BrokenError for a wrong checksum, or one from nobody who may ask."""
    *body, check = heard
    if sum(body) % 256 != check or heard[2] < _TESTER_FIRST:
        raise BrokenError(f"checksum or sender of {heard.hex(' ')}")
    return Heard(heard[_HEADER:-1], heard[1], heard[2], True, False)


def compose(payload: bytes, to: int | None, own: int, length_byte: bool) -> bytes:
    """An answer, which goes to everybody."""
    del to, length_byte
    body = _ANSWER + bytes((own,)) + payload
    return body + bytes((sum(body) % 256,))
