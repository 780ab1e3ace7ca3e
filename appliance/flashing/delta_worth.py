"""Whether it pays to read blocks back before a write, so that those which hold their bytes are left alone."""

from __future__ import annotations

from appliance.protocols.access import WireMeter

WORTH = 1.5
"""A block left alone is worth so often the time of its bytes: its erase takes time too, wears flash, and may
be cut off (our own choice)."""


def pays(size_bytes: int, wire: WireMeter) -> bool:
    """Whether reading so much costs less than writing it; False where the wire does not tell its rates."""
    if wire.read_bytes_per_s is None or wire.write_bytes_per_s is None:
        return False
    cost_s, saved_s = size_bytes / wire.read_bytes_per_s, size_bytes / wire.write_bytes_per_s
    return cost_s <= WORTH * saved_s
