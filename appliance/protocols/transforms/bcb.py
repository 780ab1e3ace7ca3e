"""Counted records under a repeating text, as some Bosch controllers take their blocks (sources: `vw-me7`)."""

from __future__ import annotations

from collections.abc import Iterator

HEADER = b"\x1a\x01"
"""Says that records follow; the text begins behind it."""
MOST_IN_RECORD = 0x1000
"""What a controller is known to take; of the 14 bits of a count twice as much has failed."""
_COUNT_BYTES = 2


def bcb(stream: Iterator[tuple[int, bytes]], text: bytes) -> Iterator[tuple[int, bytes]]:
    """Literal records alone: nothing is compressed, and nothing can be decompressed wrongly."""
    covered_bytes = 0

    def covered(data: bytes) -> bytes:
        nonlocal covered_bytes
        at = covered_bytes % len(text)
        over = (text * (len(data) // len(text) + 2))[at : at + len(data)]
        covered_bytes += len(data)
        return (int.from_bytes(data) ^ int.from_bytes(over)).to_bytes(len(data))

    yield 0, HEADER
    for memory_bytes, part in stream:
        for at in range(0, len(part), MOST_IN_RECORD):
            record = part[at : at + MOST_IN_RECORD]
            share = memory_bytes if at == 0 else 0
            yield share, covered(len(record).to_bytes(_COUNT_BYTES) + record)
