"""Where a hash over a block is blind, and the pieces it has to be asked for instead.

A CRC over data that holds its own CRC is the same whatever the data is: in the sector that stores the CRC-32
of its region, a tuned file with a right checksum hashes as the stock does. Cut out, the stored value gives it
away.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from appliance.contract.places import Range, Start
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from appliance.flashing.image import MemoryImage
from appliance.flashing.own_checksums import own_checksums
from appliance.protocols.access import Block

WORD_BYTES = 4
"""No two contents of so few bytes share a CRC-32."""


def seams_of(definition: Definition, access: AccessDefinition, expected: MemoryImage) -> frozenset[Start]:
    """Places before and behind every checksum stored in the expected memory.

    Raises PitboxError for a checksum module that does not exist. An access that compares whole blocks by
    their name has no seams: its blocks cannot be cut; nor need whole sectors be, where their hash is not
    blind.
    """
    if access.hash_span not in ("bytes", "sector"):
        return frozenset()
    stores: list[Start] = []
    for checksum in own_checksums(definition, access):
        region = checksum.region
        if access.hash_span == "sector" and not access.blinded_by(checksum.name):
            continue
        if expected.covers(region.place):
            report = checksum.module.verify(expected.slice(region.place))
            found = (block.store_at for block in report.blocks)
            stores += [(region.memory, region.start + at) for at in found if at is not None]
    return frozenset((memory, seam) for memory, at in stores for seam in (at, at + WORD_BYTES))


def blind_in(definition: Definition, access: AccessDefinition, expected: MemoryImage) -> frozenset[str]:
    """Regions whose stored checksum cannot be found, because their content is not wholly known.

    There a hash may take the one content for the other.
    """
    if access.hash_span not in ("bytes", "sector"):
        return frozenset()
    regions = (definition.region(checksum.region) for checksum in definition.checksums)
    return frozenset(one.name for one in regions if not expected.covers(one.place))


def pieces_of(block: Block, seams: frozenset[Start]) -> list[Block]:
    """The block, cut at the seams inside it."""
    inside = sorted(at for memory, at in seams if memory == block.memory and block.start < at < block.end)
    cuts = pairwise([block.start, *inside, block.end])
    return [replace(block, place=Range.between(block.memory, start, end)) for start, end in cuts]
