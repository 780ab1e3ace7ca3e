"""A container of a loader is taken when every sum is right, and refused with the reason otherwise."""

from __future__ import annotations

import binascii
import zlib

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.step_kinds import Loader
from appliance.definitions.vbf import VbfBlock, parse_vbf, why_no_loader
from appliance.engine.owner_secrets import secrets_of
from appliance.protocols.uds.steps.loader import blocks_of_loader

VB60 = load_definition(PACKS / "pbx-vb60.toml")
SHIPPED = bytes.fromhex(VB60.twin.secrets["sbl"])
RAM = 0x4000_0000


def container(*blocks: tuple[int, bytes], header: str = "call = 0x40000000; sw_part_type = SBL;") -> bytes:
    body = b"".join(
        at.to_bytes(4) + len(data).to_bytes(4) + data + binascii.crc_hqx(data, 0xFFFF).to_bytes(2)
        for at, data in blocks
    )
    text = f"vbf_version = 2.4;\nheader {{ {header} erase = {{ {{0x1, 0x2}} }}; "
    return f"{text}file_checksum = 0x{zlib.crc32(body):X}; }}".encode() + body


GOOD = container((RAM, b"first"), (RAM + 5, b"second"))


def test_blocks_and_where_the_loader_starts() -> None:
    found = parse_vbf(GOOD)
    assert found.blocks == (VbfBlock(RAM, b"first"), VbfBlock(RAM + 5, b"second"))
    assert found.call == RAM
    assert why_no_loader(GOOD) is None
    assert why_no_loader(SHIPPED) is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "does not begin with vbf_version"),
        (GOOD[10:], "does not begin with vbf_version"),
        (GOOD[:40], "header does not end"),
        (GOOD[:-1], "block 2 is cut short"),
        (GOOD[:-9], "block 2 is cut short"),
        (GOOD[:-3] + b"x" + GOOD[-2:], "the CRC of its block 2"),
        (GOOD.replace(b"first", b"farst"), "the CRC of its block 1, at 0x40000000"),
        (GOOD.replace(b"0x40000000", b"0x4zz"), "its call is '0x4zz'"),
        (container(), "no block"),
        (GOOD + container((RAM, b"third"))[-15:], "file_checksum is not that"),
        (GOOD.replace(b"file_checksum", b"file_checks"), "tells no file_checksum"),
        (container((RAM, b"a"), header="call = 0x1; sw_part_type = EXE;"), "'EXE', and a loader is SBL"),
        (container((RAM, b"a"), header="sw_part_type = SBL;"), "where its loader is started"),
        (
            container((RAM, b"a"), header="call = 0x1; sw_part_type = SBL; data_format_identifier = 0x10;"),
            "the data format 0x10",
        ),
    ],
)
def test_what_is_wrong_with_a_container_is_told(content: bytes, why: str) -> None:
    assert why in (why_no_loader(content) or "")


def test_no_end_of_a_container_but_the_whole_is_taken() -> None:
    assert [at for at in range(len(SHIPPED)) if why_no_loader(SHIPPED[:at]) is None] == []


@pytest.mark.parametrize("content", [SHIPPED[:-1], SHIPPED[:-5] + b"\0" + SHIPPED[-4:], b"PBXSBL01"])
def test_a_damaged_container_is_refused_where_it_comes_in(content: bytes) -> None:
    with pytest.raises(PitboxError, match="SECRET_WRONG"):
        secrets_of(VB60, lambda place: content, simulated=False)("sbl")


def test_a_container_for_another_place_is_refused_before_anything_is_sent() -> None:
    (step,) = [one for one in uds_access(VB60).steps.open or () if isinstance(one, Loader)]
    assert len(blocks_of_loader(step, SHIPPED)) == 2
    with pytest.raises(PitboxError, match="SECRET_WRONG"):
        blocks_of_loader(step, container((RAM + 0x100, b"elsewhere")))
