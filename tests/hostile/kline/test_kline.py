"""What the hostile K-line has found, each by itself: an ECU that does one odd thing, and no chance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from appliance.definitions.library import Way
from appliance.flashing.image import blocks_of
from appliance.protocols.access import Block, EcuState, Purpose
from appliance.protocols.kwp2000.access import KwpAccess
from appliance.protocols.kwp2000.links import open_ecu
from appliance.protocols.transforms import none_supplied
from simulator.virtualtime import run_virtual
from tests.hostile.kline.ecu import LineEcu
from tests.hostile.kline.services import Transfer
from tests.hostile.kline.shapes import BY_NAME, definition_of
from tests.hostile.kline.spite import LineSpite, Traits
from tests.hostile.kline.world import LineConnection


@asynccontextmanager
async def at(shape: str, traits: Traits) -> AsyncIterator[tuple[LineEcu, KwpAccess]]:
    """An ECU without spite, and an access to it."""
    made, spite = BY_NAME[shape], LineSpite(random.Random(0))
    ecu = LineEcu(made, made.stock(), traits, spite, random.Random(0))
    definition = definition_of(made)
    way = Way(definition, definition.accesses[0])
    async with open_ecu(LineConnection(ecu.wire), way, none_supplied) as access:
        assert isinstance(access, KwpAccess)
        yield ecu, access


def last_sector(shape: str) -> Block:
    """Of the calibration."""
    definition = definition_of(BY_NAME[shape])
    return blocks_of(definition, definition.accesses[0], writable_only=True)[-1]


@pytest.mark.parametrize("drops", ["told", "silently"])
@pytest.mark.parametrize("shape", ["slow", "plain"])
def test_an_erase_that_goes_on_behind_a_dropped_channel_is_not_begun_again(shape: str, drops: str) -> None:
    """It answers by 21 to whoever comes back too early."""

    async def inside() -> None:
        async with at(shape, Traits(drops=drops, erase_s=9.0)) as (ecu, access):
            block = last_sector(shape)
            await access.lifecycle.open(Purpose.WRITE)
            began_s = asyncio.get_running_loop().time()
            await access.memory.erase(block)
            assert asyncio.get_running_loop().time() - began_s > 8
            assert sum(ecu.flash.erases.values()) == 1
            assert ecu.server.unlocked
            await access.memory.program(block, bytes(block.size), lambda count: None)
            assert ecu.flash.read(block.start, block.size) == bytes(block.size)

    run_virtual(inside())


def test_an_upload_that_was_left_open_is_ended_before_the_next() -> None:
    async def inside() -> None:
        async with at("loads", Traits(keeps_transfer=True)) as (ecu, access):
            ecu.server.transfer = Transfer(0x8000, 512, upload=True)
            place = last_sector("loads").place
            await access.lifecycle.open(Purpose.READ)
            assert await access.memory.read(place) == ecu.flash.read(place.start, place.length)

    run_virtual(inside())


def test_a_download_that_was_left_open_is_ended_before_an_upload() -> None:
    async def inside() -> None:
        async with at("loads", Traits(keeps_transfer=True)) as (ecu, access):
            block = last_sector("loads")
            ecu.server.transfer = Transfer(block.start, block.size, upload=False, done=0x3D)
            await access.lifecycle.open(Purpose.RECOVER)
            assert await access.memory.read(block.place) == ecu.flash.read(block.start, block.size)

    run_virtual(inside())


def test_a_refusal_to_be_woken_is_no_running_application() -> None:
    """Of an ECU of which nobody has said that it refuses so: a boot loader would be taken for its end."""

    async def inside() -> None:
        async with at("fast", Traits()) as (ecu, access):
            ecu.spite.rate, ecu.spite.kinds, ecu.spite.services = 1.0, ("wake_refused",), (0x81,)
            assert await access.lifecycle.state() is EcuState.SILENT
            ecu.spite.calm = True
            assert await access.lifecycle.state() is EcuState.APPLICATION

    run_virtual(inside())


def test_answers_may_be_longer_than_the_key_bytes_let_a_request_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BY_NAME, "loads", replace(BY_NAME["loads"], read_piece=0x80))

    async def inside() -> None:
        async with at("loads", Traits()) as (ecu, access):
            place = last_sector("loads").place
            await access.lifecycle.open(Purpose.READ)
            assert await access.memory.read(place) == ecu.flash.read(place.start, place.length)

    run_virtual(inside())
