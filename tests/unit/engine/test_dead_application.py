"""A dead application, with no write of this box to blame: the ECU's own original goes back all the same."""

from __future__ import annotations

import asyncio

import pytest

from appliance.contract.jobs import JobState
from appliance.engine.operations.registry import prepare
from appliance.engine.operations.write import restore, write
from appliance.engine.report import report_of
from simulator.ecu.chip import Program
from tests.support.definitions import with_access
from tests.support.garage import Garage, Readied, visit
from tests.unit.engine.test_another_car import WRONG_VIN, recoverable


async def killed_by_another_tool(garage: Garage, *, serial: bool) -> None:
    """Its calibration is spoilt; its bootloader answers alone, and tells its serial number or does not."""
    definition = recoverable(garage.definition)
    garage.use(definition if serial else with_access(definition, identity={"serial": None}))
    core, region = garage.car.ecu.core, garage.definition.region("calibration")
    core.memory.force(region.start, bytes(region.size_bytes))
    assert not core.judge_memory()
    garage.car.power_cut()
    garage.car.power_up()
    await asyncio.sleep(1)
    assert garage.car.ecu.program is Program.BOOTLOADER


def test_by_its_serial_number_without_a_word(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await killed_by_another_tool(garage, serial=True)
        assert (await restore(garage.box, garage.job))["result"] == "restored"
        assert garage.untouched
        assert garage.car.ecu.program is Program.APPLICATION

    visit(slave, scene)


def test_by_a_persons_word_which_is_kept(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await killed_by_another_tool(garage, serial=False)
        memory = garage.car.ecu.memory.whole()
        vin = (garage.box.journal.job(garage.job).identity or pytest.fail()).vin or ""
        error = await garage.refusal(restore(garage.box, garage.job))
        assert error.code == "GATES_REFUSED"
        assert [line.split(":")[0] for line in error.details] == ["identity"]
        assert "--car" in error.details[0]
        misnamed = await garage.refusal(restore(garage.box, garage.job, WRONG_VIN))
        assert misnamed.code == "CAR_MISNAMED"
        assert garage.car.ecu.memory.whole() == memory
        work = prepare("restore", {"job": garage.job, "car": vin})(garage.box)
        assert (await work)["result"] == "restored"
        assert garage.untouched
        (word,) = report_of(garage.box.journal, garage.job, garage.definition)["car_confirmed"]
        assert word["named"] == vin
        assert garage.box.journal.job(garage.job).state is JobState.RESTORED

    visit(slave, scene)


def test_a_tuned_file_does_not_go_into_it(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        package = garage.package()
        await killed_by_another_tool(garage, serial=True)
        memory = garage.car.ecu.memory.whole()
        error = await garage.refusal(write(garage.box, garage.job, garage.hand_in(package)))
        assert error.code == "ECU_IN_BOOTLOADER"
        assert garage.car.ecu.memory.whole() == memory

    visit(slave, scene)
