"""An ECU that hashes whole sectors alone, its checksum inside one: written, cut off, recovered."""

from __future__ import annotations

import asyncio

import pytest

from appliance.definitions.schema import Definition
from appliance.engine.operations.write import recover, restore, write
from simulator.ecu.watch import Counter
from tests.support.definitions import with_access
from tests.support.garage import Garage, Readied, visit


def by_sector(garage: Garage) -> Definition:
    return with_access(
        garage.definition,
        checking={"hash_granularity": "sector"},
        reading={"bootloader_reads": True},
        recovery={"recoverability": "bootloader"},
    )


@pytest.mark.parametrize("cut", [False, True])
def test_a_write_is_proven_by_sector_hashes_and_the_stored_checksum(slave: Readied, cut: bool) -> None:
    async def scene(garage: Garage) -> None:
        garage.use(by_sector(garage))
        target = garage.calibration()
        package = garage.hand_in(garage.package())
        if cut:
            watch = garage.car.ecu.core.watch
            at = watch.totals[Counter.PROGRAMMED] + 1000
            watch.at(Counter.PROGRAMMED, at, lambda address: garage.car.power_cut())
            await garage.refusal(write(garage.box, garage.job, package))
            garage.car.power_up()
            await asyncio.sleep(1)
            result = await recover(garage.box, garage.job)
        else:
            result = await write(garage.box, garage.job, package)
        assert result["result"] == "done"
        region = garage.definition.region("calibration")
        assert garage.car.ecu.memory.read(region.start, region.size_bytes) == target
        assert result["blocks"]["skipped"] < result["blocks"]["total"]
        assert (await restore(garage.box, garage.job))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)
