"""Where a hash over a block is blind, and the pieces it has to be asked for instead.

A CRC over data that holds its own CRC is the same whatever the data is: in the sector that stores the CRC-32
of its region, a tuned file with a right checksum hashes as the stock does. Cut out, the stored value gives it
away.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from appliance.checksums import module_for
from appliance.contract.errors import PitboxError
from appliance.contract.places import Range, Start
from appliance.definitions.schema import Definition
from appliance.flashing.image import MemoryImage
from appliance.protocols.access import Block

_BY_SPAN = ("hash_range", "compare_range")
WORD_BYTES = 4
"""No two contents of so few bytes share a CRC-32."""


def seams_of(definition: Definition, expected: MemoryImage) -> frozenset[Start]:
    """Places before and behind every checksum stored in the expected memory.

    Raises PitboxError for a checksum module that does not exist. A definition that compares whole blocks by
    their id has no seams: its blocks cannot be cut; nor need whole sectors be, where their hash is not blind.
    """
    spec = definition.checksum
    if spec is None or definition.checking.style not in _BY_SPAN:
        return frozenset()
    if definition.checking.hash_granularity == "sector" and not definition.checking.blinded_by(spec.module):
        return frozenset()
    region = definition.region(spec.region)
    if not expected.covers(region.place):
        return frozenset()
    try:
        module = module_for(spec.module, spec.parameters)
    except ValueError as error:
        raise PitboxError(
            "DEFINITION_CHECKSUM",
            f"definition {definition.id}: {error}",
            do_now="Correct checksum.module or checksum.parameters in the definition.",
        ) from error
    report = module.verify(expected.slice(region.place))
    stores = [region.start + block.store_at for block in report.blocks if block.store_at is not None]
    return frozenset((region.memory, seam) for at in stores for seam in (at, at + WORD_BYTES))


def blind_in(definition: Definition, expected: MemoryImage) -> str | None:
    """The region whose stored checksum cannot be found, because its content is not wholly known.

    There a hash may take the one content for the other.
    """
    spec = definition.checksum
    if spec is None or definition.checking.style not in _BY_SPAN:
        return None
    region = definition.region(spec.region)
    return None if expected.covers(region.place) else region.name


def pieces_of(block: Block, seams: frozenset[Start]) -> list[Block]:
    """The block, cut at the seams inside it."""
    inside = sorted(at for memory, at in seams if memory == block.memory and block.start < at < block.end)
    cuts = pairwise([block.start, *inside, block.end])
    return [replace(block, place=Range.between(block.memory, start, end)) for start, end in cuts]
