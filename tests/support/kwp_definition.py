"""The shipped ECUs on a K-line and the real families, with a memory small enough for many tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from appliance.definitions.access.kwp2000 import KwpAccessDefinition, kwp_access
from appliance.definitions.loader import FAMILIES, PACKS, load_definition
from appliance.definitions.schema import Definition
from tests.support.definitions import raw, validated

START, SECTOR_BYTES, SECTORS = 0x10000, 0x800, 4
SHRUNK = 32
_ME7_5_TOLD = ("0261207939", "1037366446")
_EDC15_TOLD = ("0281010000", "1037350000")
_TEXT = b"nobody's text"
_SIMULATED = {
    "boot": "2501",
    "serial": "SIM0000FAM",
    "vin": "PBXTESTCAR0000FAM",
    "calid": "PBXFAM0000000001",
    "boot_ms": 0,
    "protocols": {"kwp2000": {"key_bytes": "EF8F", "most_in_download": 124}},
}
_END = START + SECTOR_BYTES * SECTORS


def me7_kind() -> Definition:
    """Slow wake-up, times set to their limits, 124,800 bit/s, each block checked by C5."""
    return _small("pbx-k7")


def edc15_kind() -> Definition:
    """Fast wake-up, 17 ms between bytes, a bit rate that it does not have."""
    return _small("pbx-k15")


def me7_5() -> Definition:
    """The family of that name at a 32nd of its sectors, with a toy's key and an invented text."""
    return _family("vw-me7-5", _ME7_5_TOLD, _shrunk)


def edc15() -> Definition:
    """The family of that name, whose memory nobody touches."""
    return _family("vw-edc15", _EDC15_TOLD, lambda data: None)


def how_of(definition: Definition) -> KwpAccessDefinition:
    """Its one access."""
    return kwp_access(definition)


@cache
def _small(pack: str) -> Definition:
    data = raw(load_definition(PACKS / f"{pack}.toml"))
    data["memories"][0]["regions"] = [_main()]
    data["access"][0]["voltage"]["steady_s"] = 0.5
    data["checksums"][0] |= {"region": "main", "parameters": _checked(START, _END)}
    data["simulation"]["boot_ms"] = 0
    return validated(data)


@cache
def _family(name: str, told: tuple[str, str], change: Callable[[dict[str, Any]], None]) -> Definition:
    data = raw(load_definition(FAMILIES / f"{name}.toml"))
    access = data["access"][0]
    access["voltage"]["steady_s"] = 0.5
    for level in ("read_security", "write_security"):
        if access["sessions"].get(level):
            access["sessions"][level] |= {"algorithm": "toy-xor", "constant": 0x0750_C0DE}
    data["simulation"] = _SIMULATED | {"hw": told[0], "sw": told[1]}
    data["simulation"]["secrets"] = {one["name"]: _TEXT.hex() for one in data["secrets"]}
    change(data)
    return validated(data)


def _shrunk(data: dict[str, Any]) -> None:
    """Each sector where it lies in proportion, and a checksum that needs no whole image."""
    regions = data["memories"][0]["regions"]
    first = regions[0]["start"]
    for region in regions:
        region["start"] = first + (region["start"] - first) // SHRUNK
        region["size_bytes"] //= SHRUNK
        for sectors in region["sectors"]:
            sectors["size_bytes"] //= SHRUNK
    layout = data["access"][0]["layout"]
    layout["mirrored_at"] = first + (layout["mirrored_at"] - first) // SHRUNK
    own = next(region for region in regions if region["name"] == "calibration")
    end = own["start"] + own["size_bytes"]
    where = _checked(own["start"], end)
    data["checksums"] = [{"module": "crc32-at", "region": "calibration", "parameters": where}]


def _main() -> dict[str, Any]:
    sectors = [{"size_bytes": SECTOR_BYTES, "count": SECTORS}]
    size = SECTOR_BYTES * SECTORS
    return {"name": "main", "tag": "calibration", "start": START, "size_bytes": size, "sectors": sectors}


def _checked(start: int, end: int) -> dict[str, Any]:
    return {"base": start, "ranges": [[start, end - 4]], "store_at": end - 4, "order": "little"}
