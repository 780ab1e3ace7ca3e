"""One car's write is interrupted, and the box is plugged into another one: nothing happens to that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.schema import Definition
from appliance.engine.operations.check import dtc
from appliance.engine.operations.registry import prepare
from appliance.engine.operations.restore_without_journal import reopen
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.report import report_of
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.kinds import wires_for
from tests.support.definitions import with_access
from tests.support.garage import Garage, Readied, open_garage, visit
from tests.unit.engine.test_refused_conditions import interrupted_write

WRONG_VIN = "WVWZZZ1KZAW000001"


def recoverable(definition: Definition) -> Definition:
    """With a bootloader that stays reachable."""
    return with_access(definition, recovery={"recoverability": "bootloader"})


def plug_into_another(garage: Garage) -> Car:
    """A healthy car with the same kind of ECU."""
    named = garage.definition.simulation.model_copy(update={"vin": WRONG_VIN, "serial": "SIM-OTHER"})
    definition = garage.definition.model_copy(update={"simulation": named})
    car = Car([definition], wires_for(definition), CarSettings(seed=8, finish=with_right_checksums))
    car.power_up()
    garage.box.connection = SimulatedCarInterface(car)
    return car


def plug_back(garage: Garage) -> None:
    garage.box.connection = SimulatedCarInterface(garage.car)


async def half_written(garage: Garage, *, serial: bool = True) -> None:
    """The job's own car, its ECU in the bootloader, which tells its serial number or does not."""
    definition = recoverable(garage.definition)
    if not serial:
        definition = with_access(definition, identity={"serial": None})
    garage.use(definition)
    await interrupted_write(garage)
    garage.car.power_cut()
    garage.car.power_up()
    await asyncio.sleep(1)
    assert garage.car.ecu.program is Program.BOOTLOADER


Verb = Callable[[Garage], Awaitable[dict[str, Any]]]
VERBS: dict[str, Verb] = {
    "recover": lambda g: recover(g.box, g.job),
    "recover, whichever is open": lambda g: recover(g.box),
    "recover on a person's word": lambda g: recover(g.box, car=g.definition.simulation.vin),
    "recover --original": lambda g: recover(g.box, g.job, original=True),
    "dtc --clear": lambda g: dtc(g.box, g.job, clear=True),
    "dtc": lambda g: dtc(g.box, g.job),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_healthy_car_is_never_written_for_one_that_was_interrupted(slave: Readied, verb: str) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage)
        other = plug_into_another(garage)
        await asyncio.sleep(1)
        healthy, codes = other.ecu.memory.whole(), dict(other.ecu.core.nvm.records.dtcs)
        error = await garage.refusal(VERBS[verb](garage))
        assert (error.code, error.ecu) == ("ECU_CHANGED", EcuSafety.HALF_WRITTEN)
        assert any("VIN" in line for line in error.details)
        assert other.ecu.memory.whole() == healthy
        assert other.ecu.core.nvm.records.dtcs == codes
        assert other.ecu.core.nvm.records.programming_attempts == 0
        assert garage.box.journal.job(garage.job).state is JobState.INTERRUPTED
        assert len(garage.box.journal.open_flashes()) == 1
        other.close()
        plug_back(garage)
        result = await recover(garage.box, garage.job)
        assert result["result"] == "done"
        assert result["identity_after"]["compared"] == ["hw", "boot", "serial", "vin"]
        told = report_of(garage.box.journal, garage.job, garage.definition)
        assert told["identity_after"] == result["identity_after"]

    visit(slave, scene)


def test_a_rescue_without_a_journal_is_refused_for_another_car(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        other = plug_into_another(garage)
        await asyncio.sleep(1)
        healthy = other.ecu.memory.whole()
        for car in (None, garage.definition.simulation.vin):
            error = await garage.refusal(reopen(garage.box, garage.definition.id, car=car))
            assert error.code == "ECU_CHANGED"
        assert other.ecu.memory.whole() == healthy
        assert len(garage.box.journal.jobs()) == 1
        assert garage.box.journal.open_flashes() == []
        other.close()

    visit(slave, scene)


def test_a_bootloader_that_says_too_little_needs_a_persons_word_which_is_kept(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, serial=False)
        memory = garage.car.ecu.memory.whole()
        vin = garage.definition.simulation.vin
        for car, code in ((None, "CAR_UNCONFIRMED"), (WRONG_VIN, "CAR_MISNAMED"), ("", "CAR_MISNAMED")):
            error = await garage.refusal(recover(garage.box, car=car))
            assert (error.code, error.ecu) == (code, EcuSafety.HALF_WRITTEN)
            assert vin not in error.do_now
        assert garage.car.ecu.memory.whole() == memory
        result = await recover(garage.box, car=f" {vin.lower()} ")
        assert result["result"] == "done"
        told = report_of(garage.box.journal, garage.job, garage.definition)
        assert [word["named"].strip() for word in told["car_confirmed"]] == [vin.lower()]
        assert told["identity_after"]["known_by"] == "vin"

    visit(slave, scene)


@pytest.mark.parametrize(
    "parameters",
    [
        {"file": "0123"},
        {"job": "a", "definition": "pbx-x050"},
        {"definition": "pbx-x050", "original": True},
        {"definition": "pbx-x050", "file": "0123", "original": True},
    ],
)
def test_an_option_that_would_not_be_used_is_an_error(parameters: dict[str, Any]) -> None:
    with pytest.raises(PitboxError, match="PARAMETERS_INVALID") as caught:
        prepare("recover", parameters)
    assert caught.value.details


def test_a_car_is_named_for_clearing_only() -> None:
    with pytest.raises(PitboxError, match="PARAMETERS_INVALID"):
        prepare("dtc", {"job": "a", "car": "V"})


def test_a_rescue_during_an_open_write_leaves_no_job_behind(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage)
        error = await garage.refusal(reopen(garage.box, garage.definition.id))
        assert error.code == "WRITE_OPEN"
        assert [job.id for job in garage.box.journal.jobs()] == [garage.job]

    visit(slave, scene)


def test_a_refused_second_write_keeps_the_proof_of_the_first(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        first = await write(garage.box, garage.job, garage.hand_in(garage.package()))
        garage.car.battery.set_level(10.0)
        for _ in range(2):
            await garage.refusal(restore(garage.box, garage.job))
        (earlier,) = report_of(garage.box.journal, garage.job, garage.definition)["earlier"]
        assert earlier["result"] == "done"
        assert earlier["verify"] == first["verify"]
        assert earlier["blocks"] == first["blocks"]
        assert earlier["identity_after"]["known_by"] == "serial"

    visit(slave, scene)


def without_a_journal(garage: Garage, slave: Readied) -> None:
    """The box is started again; its journal and the record of its writes are gone."""
    garage.box.journal.close()
    for path in (*slave.state.glob("journal.db*"), *slave.state.glob("writes.*")):
        path.unlink()
    garage.box = open_garage(slave, garage.car).box


def test_a_rescue_without_a_journal_knows_the_ecu_by_its_serial_number(slave: Readied) -> None:
    """Its bootloader tells no VIN; of its serial number the sealed record keeps a keyed hash."""

    async def scene(garage: Garage) -> None:
        await half_written(garage)
        definition = garage.definition
        without_a_journal(garage, slave)
        garage.use(definition)
        job = await reopen(garage.box, definition.id)
        assert (await recover(garage.box, job))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)


def test_a_rescue_without_a_journal_refuses_another_serial_number(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage)
        definition = garage.definition
        without_a_journal(garage, slave)
        garage.use(definition)
        garage.car.ecu.core.definition = definition.model_copy(
            update={"simulation": definition.twin.model_copy(update={"serial": "SIM-OTHER"})}
        )
        for car in (None, definition.twin.vin):
            assert (await garage.refusal(reopen(garage.box, definition.id, car=car))).code == "ECU_CHANGED"
        assert garage.box.journal.jobs() == []

    visit(slave, scene)
