"""Invented stock memory for a definition: code-like, tables and blank areas, the same for the same seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from appliance.definitions.checksum import Checksum
from appliance.definitions.memory import Region
from appliance.definitions.schema import Definition
from simulator.ecu.memory import FlashMemory
from simulator.ecu.spaces import on_wire
from simulator.ecu.validity import stored_sums

_FRAGMENT_BYTES = 64
_FRAGMENTS = 512
_BLANK_SHARE = 0.15
"""Share of a code region, at its end, that was never programmed."""
_NAME_OFFSET = 0x40
_SIMOS_COUNT_IN_HEADER = 8
_SIMOS_HEADER_BYTES = 20
"""Up to the end of an area table with one entry (sources: checksum-simos)."""

Finish = Callable[[Definition, bytes], bytes]
"""Puts checksums right in a whole image, for modules that a simulated ECU does not know itself."""


def synthesise(definition: Definition, seed: int = 0, finish: Finish | None = None) -> bytes:
    """All regions in ascending order, without the gaps between them."""
    definition = on_wire(definition)
    ordered = sorted(definition.regions, key=lambda region: region.start)
    image = b"".join(_region(definition, region, seed) for region in ordered)
    image = _with_own_checksum(definition, _with_area_table(definition, image))
    return finish(definition, image) if finish else image


def region_slice(definition: Definition, name: str) -> slice:
    """Where a region lies in a whole image. Raises KeyError for an unknown name."""
    offset = 0
    for region in sorted(on_wire(definition).regions, key=lambda one: one.start):
        if region.name == name:
            return slice(offset, offset + region.size_bytes)
        offset += region.size_bytes
    raise KeyError(name)


def _region(definition: Definition, region: Region, seed: int) -> bytes:
    dice = random.Random(f"{seed}/{definition.id}/{region.name}")
    fill = _tables if region.tag in ("calibration", "data") else _code
    used = int(region.size_bytes * (1 - _BLANK_SHARE))
    content = bytearray(fill(dice, used).ljust(region.size_bytes, bytes([region.erased_byte])))
    name = f"{definition.twin.sw} {region.name}".encode("ascii")
    if region.size_bytes >= _NAME_OFFSET + len(name):
        content[_NAME_OFFSET : _NAME_OFFSET + len(name)] = name
    return bytes(content)


def _code(dice: random.Random, size: int) -> bytes:
    """Fragments that recur as a compiler's output does: compresses by about half."""
    common = [dice.randbytes(_FRAGMENT_BYTES) for _ in range(_FRAGMENTS)]
    count = size // _FRAGMENT_BYTES
    pieces = dice.choices(common, k=count)
    for at in range(0, count, 3):
        pieces[at] = dice.randbytes(_FRAGMENT_BYTES)
    return b"".join(pieces)


def _tables(dice: random.Random, size: int) -> bytes:
    """Maps of 16-bit values that rise evenly, as characteristic curves do."""
    tables, length = [], 0
    while length < size:
        base, step, count = dice.randrange(0x4000), dice.randrange(1, 0x180), dice.choice((16, 64, 256))
        tables.append(b"".join((base + step * i & 0xFFFF).to_bytes(2, "big") for i in range(count)))
        length += 2 * count
    return b"".join(tables)[:size]


def _with_area_table(definition: Definition, image: bytes) -> bytes:
    """A Simos block names the area its CRC is over: all behind the header."""
    for checksum in definition.checksums:
        if checksum.module == "simos":
            image = _with_one_area(definition, checksum, image)
    return image


def _with_one_area(definition: Definition, checksum: Checksum, image: bytes) -> bytes:
    block = definition.region(checksum.region)
    header_at = checksum.parameters.get("header_at", 0x300)
    if not isinstance(header_at, int):
        raise ValueError(f"checksum parameter 'header_at' is not a number: {header_at!r}")
    header_end = header_at + _SIMOS_HEADER_BYTES
    table = struct.pack("<III", 1, block.start + header_end, block.end - 1)
    content = bytearray(image)
    at = region_slice(definition, block.name).start + header_at + _SIMOS_COUNT_IN_HEADER
    content[at : at + len(table)] = table
    return bytes(content)


def _with_own_checksum(definition: Definition, image: bytes) -> bytes:
    sums = stored_sums(definition)
    if not sums:
        return image
    memory = FlashMemory(definition.regions, lambda: image)
    for own in sums:
        own.store(memory)
    finished = memory.whole()
    memory.close()
    return finished
