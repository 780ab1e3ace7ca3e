"""Counted records under a repeating text, as some Bosch controllers take their blocks (sources: `vw-me7`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

HEADER = b"\x1a\x01"
"""Says that records follow; the text begins behind it."""
MOST_IN_RECORD = 0x1000
"""What a controller is known to take; of the 14 bits of a count twice as much has failed."""
_COUNT_BYTES = 2


def bcb(stream: Iterator[tuple[int, bytes]], text: bytes) -> Iterator[tuple[int, bytes]]:
    """Literal records alone: nothing is compressed, and nothing can be decompressed wrongly."""
    over = cycle(text)

    def covered(data: bytes) -> bytes:
        return bytes(value ^ next(over) for value in data)

    yield 0, HEADER
    for memory_bytes, part in stream:
        for at in range(0, len(part), MOST_IN_RECORD):
            record = part[at : at + MOST_IN_RECORD]
            share = memory_bytes if at == 0 else 0
            yield share, covered(len(record).to_bytes(_COUNT_BYTES) + record)
