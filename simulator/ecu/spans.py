"""Sets of addresses as sorted lists of [start, end) pairs."""

from __future__ import annotations

Spans = list[list[int]]


def add(spans: Spans, start: int, end: int) -> Spans:
    """The union with [start, end), adjoining spans merged."""
    merged: Spans = []
    for low, high in sorted([*spans, [start, end]]):
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    return merged


def remove(spans: Spans, start: int, end: int) -> Spans:
    """The difference with [start, end)."""
    left: Spans = []
    for low, high in spans:
        left += [[low, min(high, start)]] if low < start else []
        left += [[max(low, end), high]] if high > end else []
    return left


def covers(spans: Spans, start: int, end: int) -> bool:
    """True if every address of [start, end) is in the set."""
    return any(low <= start and end <= high for low, high in spans)


def overlaps(spans: Spans, start: int, end: int) -> bool:
    """True if any address of [start, end) is in the set."""
    return start < end and any(low < end and start < high for low, high in spans)
