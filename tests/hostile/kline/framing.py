"""Messages as ISO 14230-2 lays them out, read and written for the ECU's side."""

from __future__ import annotations

from dataclasses import dataclass

TESTER = 0xF1


@dataclass(frozen=True, slots=True)
class Heard:
    """A request."""

    payload: bytes
    target: int | None
    source: int | None
    own_length: bool
    functional: bool = False


def whole(data: bytes) -> Heard | None:
    """The request that these bytes are, None where some are missing. Raises ValueError."""
    if not data:
        return None
    mode, length = data[0] & 0xC0, data[0] & 0x3F
    if mode == 0x40:
        raise ValueError("no KWP2000")
    head = 3 if mode else 1
    own_length = not length
    if own_length:
        if len(data) <= head:
            return None
        length = data[head]
        head += 1
        if not length:
            raise ValueError("nothing in it")
    if len(data) < head + length + 1:
        return None
    if len(data) > head + length + 1 or sum(data[:-1]) % 256 != data[-1]:
        raise ValueError("too long, or its checksum is wrong")
    target, source = (data[1], data[2]) if mode else (None, None)
    return Heard(data[head:-1], target, source, own_length, mode == 0xC0)


def answer(payload: bytes, address: int | None, own_length: bool, target: int = TESTER) -> bytes:
    """An answer; without an address of the ECU's its header is the format byte alone."""
    own_length = own_length or len(payload) > 0x3F
    kind = 0x00 if address is None else 0x80
    data = bytes((kind | (0 if own_length else len(payload)),))
    if address is not None:
        data += bytes((target, address))
    if own_length:
        data += bytes((len(payload),))
    data += payload
    return data + bytes((sum(data) % 256,))
