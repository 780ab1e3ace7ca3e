"""The shipped ECUs on a K-line, with a memory small enough for many tests."""

from __future__ import annotations

from functools import cache
from typing import Any

from appliance.definitions.access.kwp2000 import KwpAccessDefinition, kwp_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from tests.support.definitions import raw, validated

START, SECTOR_BYTES, SECTORS = 0x10000, 0x800, 4
_END = START + SECTOR_BYTES * SECTORS


def me7_kind() -> Definition:
    """Slow wake-up, times set to their limits, 124,800 bit/s, each block checked by C5."""
    return _small("pbx-k7")


def edc15_kind() -> Definition:
    """Fast wake-up, 17 ms between bytes, a bit rate that it does not have."""
    return _small("pbx-k15")


def how_of(definition: Definition) -> KwpAccessDefinition:
    """Its one access."""
    return kwp_access(definition)


@cache
def _small(pack: str) -> Definition:
    data = raw(load_definition(PACKS / f"{pack}.toml"))
    data["memories"][0]["regions"] = [_main()]
    data["access"][0]["voltage"]["steady_s"] = 0.5
    data["checksums"][0] |= {"region": "main", "parameters": _checked()}
    data["simulation"]["boot_ms"] = 0
    return validated(data)


def _main() -> dict[str, Any]:
    sectors = [{"size_bytes": SECTOR_BYTES, "count": SECTORS}]
    size = SECTOR_BYTES * SECTORS
    return {"name": "main", "tag": "calibration", "start": START, "size_bytes": size, "sectors": sectors}


def _checked() -> dict[str, Any]:
    return {"base": START, "ranges": [[START, _END - 4]], "store_at": _END - 4, "order": "little"}
