"""LZSS with distances of 10 bits and lengths of 6 (sources: `vw-flash`).

A flag byte, highest bit first, stands before every eight tokens: 0 is a literal byte; 1 is a big-endian word
with the length in its upper 6 bits (3 to 63) and the distance back in its lower 10 (1 to 1023). The window
starts empty; the receiver stops at the length that was announced.
"""

from __future__ import annotations

from collections.abc import Iterator

SHORTEST = 3
LONGEST = 63
WINDOW = 1023
_TOKENS = 8
_REMEMBERED = 16 * WINDOW


def lzss(stream: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """A piece for each flag byte and its tokens."""
    data = b"".join(part for _, part in stream)
    last: dict[bytes, int] = {}
    at = noted = 0
    while at < len(data):
        began, flags, tokens = at, 0, bytearray()
        for bit in range(_TOKENS):
            if at >= len(data):
                break
            for place in range(noted, at):
                last[data[place : place + SHORTEST]] = place
            noted = at
            place = last.get(data[at : at + SHORTEST], -1)
            if place < 0 or place < at - WINDOW:
                tokens.append(data[at])
                at += 1
            else:
                length, distance = _longest(data, at, place)
                flags |= 0x80 >> bit
                tokens += (length << 10 | distance).to_bytes(2)
                at += length
        if len(last) > _REMEMBERED:
            last = {start: place for start, place in last.items() if place >= at - WINDOW}
        yield at - began, bytes((flags,)) + bytes(tokens)


def _longest(data: bytes, at: int, place: int) -> tuple[int, int]:
    """(length, distance) of the longest earlier run that the data goes on with; one begins at `place`."""
    lowest, most = max(0, at - WINDOW), min(LONGEST, len(data) - at)
    best = distance = 0
    length = SHORTEST
    while place >= 0:
        while length < most and data[place + length] == data[at + length]:
            length += 1
        best, distance = length, at - place
        length += 1
        if length > most:
            break
        place = data.rfind(data[at : at + length], lowest, at + length - 1)
    return best, distance
