"""In which order an access takes its blocks: what the ECU wants first, last, and written again at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from appliance.definitions.access.base import Misfit, Recovery
from appliance.definitions.memory import Region, circular

Waits = Mapping[str, tuple[str, ...]]
"""Regions that each waits for."""


def waits_for(recovery: Recovery, regions: Sequence[Region]) -> Waits:
    """What every region waits for: what it depends on, and what the access takes before it."""
    names = [region.name for region in regions]
    first = [name for name in recovery.first if name in names]
    last = [name for name in recovery.last if name in names]
    middle = [name for name in names if name not in (*first, *last)]
    found = {region.name: set(region.depends_on) for region in regions}
    for at, name in enumerate(first):
        found[name].update(first[:at])
    for name in middle:
        found[name].update(first)
    for at, name in enumerate(last):
        found[name].update(first, middle, last[:at])
    return {name: tuple(sorted(waited)) for name, waited in found.items()}


def order_misfits(recovery: Recovery, regions: Sequence[Region]) -> Iterator[Misfit]:
    """Why no write could keep that order in these regions."""
    writable = {region.name for region in regions if region.writable}
    for key in ("first", "last"):
        for name in getattr(recovery, key):
            if name not in writable:
                yield ("recovery", key), f"this access writes no region {name!r}"
    for name in circular(waits_for(recovery, regions)):
        yield ("recovery",), f"{name!r} has to come behind itself, by first, last and depends_on together"
