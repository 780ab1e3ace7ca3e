"""What a half-written ECU lets be read is no original, whatever job asks."""

from __future__ import annotations

import asyncio

import pytest

from appliance.contract.errors import EcuSafety
from appliance.contract.jobs import JobState
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover
from appliance.protocols.access import EcuState
from appliance.protocols.uds.lifecycle import UdsLifecycle
from simulator.ecu.chip import Program
from tests.support.definitions import with_access
from tests.support.garage import Garage, Readied, visit
from tests.unit.engine.test_another_car import recoverable
from tests.unit.engine.test_refused_conditions import interrupted_write


async def second_job(garage: Garage) -> str:
    """Another job of the same car, identified while it was well and never read; then a write is cut off."""
    garage.use(with_access(recoverable(garage.definition), sessions={"read_session": "programming"}))
    job = str((await identify(garage.box))["job"])
    await interrupted_write(garage)
    garage.car.power_cut()
    garage.car.power_up()
    await asyncio.sleep(1)
    assert garage.car.ecu.program is Program.BOOTLOADER
    return job


def test_no_original_is_sealed_of_a_bootloaders_memory(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        job = await second_job(garage)
        error = await garage.refusal(read(garage.box, job))
        assert (error.code, error.ecu) == ("ECU_IN_BOOTLOADER", EcuSafety.HALF_WRITTEN)
        assert f"pitbox recover --job {garage.job}" in error.do_now
        assert garage.box.journal.job(job).original_file is None
        await recover(garage.box)
        assert (await read(garage.box, job))["full"]
        assert garage.box.journal.job(job).state is JobState.READ_VERIFIED

    visit(slave, scene)


def test_nor_while_a_write_of_the_same_car_is_open(slave: Readied, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some applications go on answering beside a calibration that is half written."""

    async def application(_: UdsLifecycle) -> EcuState:
        return EcuState.APPLICATION

    async def scene(garage: Garage) -> None:
        job = await second_job(garage)
        with monkeypatch.context() as patch:
            patch.setattr(UdsLifecycle, "state", application)
            error = await garage.refusal(read(garage.box, job))
        assert (error.code, error.ecu) == ("WRITE_OPEN", EcuSafety.HALF_WRITTEN)
        assert garage.box.journal.job(job).original_file is None

    visit(slave, scene)


def test_the_job_of_the_open_write_keeps_its_state(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await second_job(garage)
        await garage.refusal(read(garage.box, garage.job))
        assert garage.box.journal.job(garage.job).state is JobState.INTERRUPTED
        assert (await recover(garage.box))["result"] == "done"

    visit(slave, scene)
