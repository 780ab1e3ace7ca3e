"""Seeded faults on an ECU with three memories at the same addresses, and blocks that are erased together."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.schema import Definition
from appliance.engine.operations.write import recover, restore, write
from appliance.flashing.safety import standing
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from simulator.car import Car, CarSettings
from simulator.faults import Fault, FaultKind, FaultPlan, Trigger, random_plan
from simulator.injection import FaultInjector
from simulator.kinds import wires_for
from tests.support.definitions import raw, validated
from tests.support.two_memories import WISH, Job, on_a_car, three_memories

_WISH = replace(WISH, changed_regions=(*WISH.changed_regions, "tables"))
SEEDS = range(12)
_KINDS = (
    FaultKind.POWER_CUT,
    FaultKind.POWER_CUT,
    FaultKind.LOST_FRAME,
    FaultKind.LOST_ANSWER,
    FaultKind.ECU_RESET,
)
_MOST_ATTEMPTS = 8
_REACH = {Trigger.PROGRAMMED: 60_000, Trigger.ERASED: 60_000, Trigger.REQUEST: 150, Trigger.FRAME: 12_000}


def tied() -> Definition:
    """An erase of the calibration takes the code with it; the maps want the calibration whole."""
    tables = raw(three_memories())
    regions = {region["name"]: region for memory in tables["memories"] for region in memory["regions"]}
    regions["calibration"]["erases_with"] = ["code"]
    regions["maps"]["depends_on"] = ["calibration"]
    return validated(tables)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_strikes_the_memory_ends_as_it_should(tmp_path: Path, seed: int) -> None:
    """The tuned file, or the original where the technician asks for that; never anything between."""
    dice = random.Random(f"three memories/{seed}")

    async def test(job: Job) -> None:
        stock = job.all_held()
        tuned = job.tuned(
            *dice.choice([("maps",), ("calibration", "tables"), ("calibration", "maps", "tables")])
        )
        strike(job, seed)
        wanted = tuned if await _struck_write(job, tuned) else stock
        for attempt in range(_MOST_ATTEMPTS):
            if not job.box.journal.open_flashes():
                break
            wanted = await _struck_recovery(job, dice, wanted, stock, last=attempt > 3)
        assert not job.box.journal.open_flashes()
        assert job.all_held() == wanted
        await _put_back(job)
        assert job.all_held() == stock

    on_a_car(tmp_path, test, tied())


def strike(job: Job, seed: int) -> None:
    """Faults count on from what the ECU has done while it was read."""
    totals = {counter.value: total for counter, total in job.car.ecu.core.watch.totals.items()}
    plan = random_plan(seed, 4, _KINDS, _REACH)
    faults = tuple(one.model_copy(update={"at": one.at + totals.get(one.on.value, 0)}) for one in plan.faults)
    FaultInjector(FaultPlan(faults=faults), job.car, lambda: None)


async def _put_back(job: Job) -> None:
    """Faults that have waited strike now; each strikes once."""
    for _ in range(_MOST_ATTEMPTS):
        await _settled(job)
        try:
            if job.box.journal.open_flashes():
                await recover(job.box, job.id)
            else:
                await restore(job.box, job.id)
        except PitboxError:
            continue
        return
    raise AssertionError("the original never went back")


async def _settled(job: Job) -> None:
    """The technician sees to the supply, and waits."""
    job.car.power_up()
    await asyncio.sleep(15)


async def _struck_write(job: Job, tuned: bytes) -> bool:
    """Whether it was begun: it ended, or is open."""
    try:
        await write(job.box, job.id, job.hand_in(tuned), _WISH)
    except PitboxError:
        return bool(job.box.journal.open_flashes())
    return True


async def _struck_recovery(
    job: Job, dice: random.Random, wanted: bytes, stock: bytes, *, last: bool
) -> bytes:
    """What the ECU is to hold after this attempt."""
    await _settled(job)
    original = dice.random() < 0.3
    try:
        await recover(job.box, job.id, original)
    except PitboxError as error:
        assert not last, error
    (flash,) = job.box.journal.open_flashes() or (None,)
    if flash is None:
        return stock if original or wanted == stock else wanted
    return stock if '"kind": "original"' in flash.write_order else wanted


def test_another_car_is_not_recovered(tmp_path: Path) -> None:
    """The same kind with another serial number and VIN: neither memory of it is touched."""

    async def test(job: Job) -> None:
        cut = Fault(kind=FaultKind.POWER_CUT, on=Trigger.PROGRAMMED, at=9000, duration_s=0.0)
        FaultInjector(FaultPlan(faults=(cut,)), job.car, lambda: None)
        with pytest.raises(PitboxError, match="WRITE_INTERRUPTED"):
            await write(job.box, job.id, job.hand_in(job.tuned("calibration", "tables")), _WISH)
        other = _other_car(job.definition)
        own, job.box.connection = job.box.connection, SimulatedCarInterface(other)
        await asyncio.sleep(2)
        before = other.ecu.memory.whole()
        with pytest.raises(PitboxError, match="ECU_CHANGED"):
            await recover(job.box, job.id)
        assert other.ecu.memory.whole() == before
        other.close()
        job.box.connection = own
        await _settled(job)
        assert standing(job.box.journal, job.id).open_writes
        assert (await recover(job.box, job.id))["result"] == "done"

    on_a_car(tmp_path, test, tied())


def _other_car(definition: Definition) -> Car:
    told = definition.twin.model_copy(update={"vin": "WVWZZZ1KZAW000001", "serial": "OTHER"})
    other = definition.model_copy(update={"simulation": told})
    car = Car([other], wires_for(other), CarSettings(seed=4, finish=with_right_checksums))
    car.power_up()
    return car
