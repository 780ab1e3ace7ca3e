"""An ECU that a reset would silence for good: half written, it stays in its session until it is finished."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.engine.operations.check import dtc
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, write
from simulator.ecu.chip import Program
from simulator.ecu.core import Answer, Core
from simulator.ecu.dispatch import SERVICES
from simulator.ecu.nrc import RefusedError
from simulator.ecu.options import EcuOptions
from simulator.ecu.session import Kind
from tests.support.definitions import with_access
from tests.support.garage import PACK, Garage, Readied, visit
from tests.unit.engine.test_another_car import plug_into_another

TRANSFER_DATA = 0x36
LONG_S = 3600.0


@pytest.fixture
def stubborn() -> Iterator[list[bool]]:
    """While it holds something, no block is taken."""
    usual, refusing = SERVICES[TRANSFER_DATA], [True]

    def transfer_data(core: Core, request: bytes) -> Answer:
        if refusing:
            raise RefusedError(0x72)
        return usual.handle(core, request)

    SERVICES[TRANSFER_DATA] = replace(usual, handle=transfer_data)
    yield refusing
    SERVICES[TRANSFER_DATA] = usual


@pytest.mark.parametrize("only_3e_keeps", [False, True])
def test_an_interrupted_write_is_finished_after_any_time(
    slave: Readied, stubborn: list[bool], only_3e_keeps: bool
) -> None:
    async def scene(garage: Garage) -> None:
        assert uds_access(garage.definition).recovery.recoverability == "bench"
        error = await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package())))
        assert error.code == "WRITE_INTERRUPTED"
        for attempt in range(2):
            await asyncio.sleep(LONG_S)
            assert garage.car.ecu.program is Program.BOOTLOADER, f"lost before attempt {attempt}"
            await garage.refusal(recover(garage.box, garage.job))
        await garage.refusal(dtc(garage.box, garage.job))
        await asyncio.sleep(LONG_S)
        stubborn.clear()
        assert (await recover(garage.box, garage.job))["result"] == "done"
        assert garage.car.ecu.program is Program.APPLICATION
        await asyncio.sleep(LONG_S)
        assert not await garage.box.vigil.end(), "nothing is kept once the write is closed"

    visit(slave, scene, options={PACK: EcuOptions(s3_kept_by_any_request=not only_3e_keeps)})


def test_an_ecu_whose_bootloader_answers_is_let_go(slave: Readied, stubborn: list[bool]) -> None:
    async def scene(garage: Garage) -> None:
        garage.use(with_access(garage.definition, recovery={"recoverability": "bootloader"}))
        await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package())))
        assert not await garage.box.vigil.end()
        stubborn.clear()
        await asyncio.sleep(LONG_S)
        assert (await recover(garage.box, garage.job))["result"] == "done"

    visit(slave, scene)


def test_a_write_that_erased_nothing_lets_its_ecu_go(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        garage.hand_in(b"")
        error = await garage.refusal(write(garage.box, garage.job, "file"))
        assert error.code != "WRITE_INTERRUPTED"
        assert not await garage.box.vigil.end()
        assert garage.car.ecu.program is Program.APPLICATION

    visit(slave, scene)


def test_another_car_is_let_go_while_the_first_ones_write_is_open(
    slave: Readied, stubborn: list[bool]
) -> None:
    async def scene(garage: Garage) -> None:
        await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package())))
        other = plug_into_another(garage)
        await asyncio.sleep(1)
        job = str((await identify(garage.box))["job"])
        assert (await read(garage.box, job))["full"]
        assert not await garage.box.vigil.end()
        assert other.ecu.core.session.kind is Kind.DEFAULT
        other.close()

    visit(slave, scene)
