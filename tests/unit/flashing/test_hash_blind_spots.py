"""A hash over a block that stores its own CRC-32 sees nothing; cut at the stored value it sees all."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.errors import PitboxError
from appliance.contract.places import FLASH
from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.flashing.hash_blind_spots import pieces_of, seams_of
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.protocols.access import Block
from tests.support.places import flash

E400 = load_definition(PACKS / "pbx-e400.toml")
CALIBRATION = E400.region("calibration")
ACCESS = uds_access(E400)
LAST = next(block for block in blocks_of(E400, ACCESS) if block.end == CALIBRATION.end)


def image(*changes: int) -> MemoryImage:
    """A calibration with the bytes at these offsets of its last sector inverted and its checksum right."""
    content = bytearray(CALIBRATION.size_bytes)
    for offset in changes:
        content[LAST.start - CALIBRATION.start + offset] ^= 0xFF
    content[-4:] = zlib.crc32(content[:-4]).to_bytes(4, "little")
    return MemoryImage({CALIBRATION.place.at: content})


def crcs(memory: MemoryImage, *pieces: Block) -> list[int]:
    return [zlib.crc32(memory.block(piece)) for piece in pieces]


@given(st.integers(0, LAST.size - 5))
def test_the_whole_sector_hashes_alike_and_its_pieces_do_not(change: int) -> None:
    stock, tuned = image(), image(change)
    assert crcs(stock, LAST) == crcs(tuned, LAST)
    pieces = pieces_of(LAST, seams_of(E400, ACCESS, tuned))
    assert crcs(stock, *pieces) != crcs(tuned, *pieces)


@given(st.sets(st.integers(0, 120)))
def test_pieces_are_the_block(seams: set[int]) -> None:
    block = Block("code", flash(20, 80), 3)
    pieces = pieces_of(block, frozenset((FLASH, at) for at in seams))
    assert [at for piece in pieces for at in range(piece.start, piece.end)] == list(range(20, 100))
    assert all(piece.size > 0 and (piece.region, piece.block_id) == ("code", 3) for piece in pieces)
    assert {piece.start for piece in pieces} == {20} | {seam for seam in seams if 20 < seam < 100}


def test_only_the_sector_with_the_checksum_is_cut() -> None:
    cut = [
        block
        for block in blocks_of(E400, ACCESS)
        if len(pieces_of(block, seams_of(E400, ACCESS, image()))) > 1
    ]
    assert cut == [LAST]


def test_no_seams_where_there_is_no_checksum_to_look_for() -> None:
    assert seams_of(E400.model_copy(update={"checksums": ()}), ACCESS, image()) == frozenset()
    assert seams_of(E400, ACCESS, MemoryImage({})) == frozenset()


def test_blocks_compared_by_their_id_cannot_be_cut() -> None:
    s18 = load_definition(PACKS / "pbx-s18.toml")
    region = s18.region("cal")
    content = MemoryImage({region.place.at: bytes(region.size_bytes)})
    assert seams_of(s18, uds_access(s18), content) == frozenset()


def test_a_checksum_module_that_does_not_exist_is_told() -> None:
    other = E400.checksums[0].model_copy(update={"module": "no-such"})
    unknown: Definition = E400.model_copy(update={"checksums": (other,)})
    with pytest.raises(PitboxError, match="DEFINITION_CHECKSUM"):
        seams_of(unknown, ACCESS, image())
