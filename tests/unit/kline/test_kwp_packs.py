"""The shipped ECUs on a K-line, as they ship: what the wire carries, and that none of its rules is broken."""

from __future__ import annotations

import asyncio

import pytest

from appliance.definitions.loader import PACKS, load_definition
from appliance.protocols.access import Block, Purpose, WireMeter
from appliance.protocols.kwp2000.access import KwpAccess
from appliance.protocols.kwp2000.session import KwpSession
from drivers.kline.simulated import SimulatedKLine
from simulator.car import Car, CarSettings
from simulator.kinds import wires_for
from simulator.kline.controller import KLineController
from simulator.virtualtime import run_virtual
from tests.support.kwp_definition import how_of

CEILING = 0.95


def share_of_the_wire(meter: WireMeter) -> float:
    return meter.payload_bytes / meter.busy_s / meter.ceiling_bytes_per_s


@pytest.mark.parametrize("pack", ["pbx-k7", "pbx-k15"])
def test_reading_and_writing_keep_to_within_five_percent_of_the_wire(pack: str) -> None:
    definition = load_definition(PACKS / f"{pack}.toml")

    async def work() -> None:
        car = Car([definition], wires_for(definition), CarSettings(seed=1))
        car.power_up()
        await asyncio.sleep(1)
        line = SimulatedKLine(car.wires.require_kline().attach("box"))
        access = KwpAccess(KwpSession(line, how_of(definition), definition.id), definition)
        sector = definition.region("calibration").sector_ranges()[1]
        await access.lifecycle.open(Purpose.READ)
        stock = await access.memory.read(sector)
        assert share_of_the_wire(access.memory.meter()) >= CEILING
        await access.lifecycle.open(Purpose.WRITE)
        block = Block("calibration", sector)
        await access.memory.erase(block)
        written = KwpAccess(access.session, definition).memory
        await written.program(block, bytes(byte ^ 0x5A for byte in stock), lambda done: None)
        assert share_of_the_wire(written.meter()) >= CEILING
        assert await access.memory.read(sector) == bytes(byte ^ 0x5A for byte in stock)
        assert isinstance(car.ecu, KLineController)
        assert car.ecu.ecu.violations == []
        car.close()

    run_virtual(work())
