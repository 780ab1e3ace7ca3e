"""The ECU's side of a message: what it takes for one, and how it writes its own (ISO 14230-2, 4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that was heard whole."""

    payload: bytes
    target: int | None
    source: int | None
    functional: bool
    length_byte: bool


class BrokenError(Exception):
    """Not a message: nobody answers it."""


def whole_bytes(heard: bytes) -> int | None:
    """Length of the message that begins so; None while too little was heard. Raises BrokenError."""
    if not heard:
        return None
    fmt = heard[0]
    if fmt >> 6 == 1:
        raise BrokenError(f"format byte {fmt:02X}")
    header = 3 if fmt >> 6 else 1
    length = fmt & 0x3F
    if length == 0:
        if len(heard) <= header:
            return None
        length = heard[header]
        header += 1
        if length == 0:
            raise BrokenError("length 0")
    return header + length + 1


def parse(heard: bytes) -> Heard:
    """A whole message. Raises BrokenError for a wrong checksum."""
    *body, check = heard
    if sum(body) % 256 != check:
        raise BrokenError(f"checksum of {heard.hex(' ')}")
    addressed, own_byte = bool(heard[0] >> 6), not heard[0] & 0x3F
    start = 1 + 2 * addressed + own_byte
    target, source = (heard[1], heard[2]) if addressed else (None, None)
    return Heard(heard[start:-1], target, source, heard[0] >> 6 == 3, own_byte)


def compose(payload: bytes, to: int | None, own: int, length_byte: bool) -> bytes:
    """An answer: addressed where `to` is given."""
    own_byte = length_byte or len(payload) > 63
    head = [0 if own_byte else len(payload)]
    if to is not None:
        head[0] |= 0x80
        head += [to, own]
    if own_byte:
        head.append(len(payload))
    body = bytes(head) + payload
    return body + bytes([sum(body) % 256])
