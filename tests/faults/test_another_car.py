"""Every definition: a write is cut in the middle, and the box plugged into a healthy car of the same kind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.engine.context import EngineContext
from appliance.engine.operations.check import dtc
from appliance.engine.operations.restore_without_journal import reopen
from appliance.engine.operations.write import recover, write
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.safety import standing
from appliance.ports.simulated import SimulatedCarInterface
from simulator.car import Car, CarSettings
from simulator.ecu.watch import Counter
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.faults.prepared_boxes import PACK_IDS, Bench, Benches, box_on
from tests.faults.scenario import Kind, Scenario, scenario_for
from tests.faults.workbench import Site

SEED = 3


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Benches]:
    yield Benches(tmp_path_factory.mktemp("benches"))


def a_write(benches: Benches, definition_id: str) -> Scenario:
    """The first seed from SEED on whose run is a write."""
    seeds = (scenario_for(seed, benches, definition_id, site=Site.CAR) for seed in range(SEED, SEED + 100))
    return next(one for one in seeds if one.kind is Kind.WRITE)


def other_car(bench: Bench) -> Car:
    """The same definition, hardware and software; another VIN, another serial number, another memory."""
    named = bench.definition.simulation.model_copy(update={"vin": "WVWZZZ1KZAW000001", "serial": "OTHER"})
    definition = bench.definition.model_copy(update={"simulation": named})
    memory = bytes(byte ^ 0x5A for byte in bench.stock)
    return Car([definition], wires_for(definition), CarSettings(images={definition.id: memory}))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("definition_id", PACK_IDS)
def test_no_definition_lets_another_car_be_written(
    benches: Benches, definition_id: str, tmp_path: Path
) -> None:
    scenario = a_write(benches, definition_id)
    run_virtual(_run(scenario, scenario.bench.copy_state(tmp_path / "box")))


async def _run(scenario: Scenario, state: Path) -> None:
    bench = scenario.bench
    own, other = bench.car(SEED, bench.stock), other_car(bench)
    for car in (own, other):
        car.power_up()
    await asyncio.sleep(2)
    box = box_on(state, bench.definition, SimulatedCarInterface(own), lambda event: None)
    await _cut_in_the_middle(box, scenario, own)
    await _plugged_into(box, bench, other)
    own.power_cut()
    own.power_up()
    await asyncio.sleep(2)
    await _finished(box, scenario, own)
    box.journal.close()
    for car in (own, other):
        car.close()


async def _cut_in_the_middle(box: EngineContext, scenario: Scenario, car: Car) -> None:
    half = asyncio.get_running_loop().create_future()
    at = scenario.change.sectors_bytes // 2
    car.ecu.core.watch.at(Counter.PROGRAMMED, at, lambda address: half.set_result(None))
    box.uploads["file"] = scenario.upload
    names = tuple(region.name for region in scenario.change.regions)
    work = asyncio.ensure_future(
        write(
            box,
            scenario.bench.job,
            "file",
            MasterWish("bench_research", names, scenario.corrected_by_box),
            engine_off=not scenario.bench.tells_engine_speed,
        )
    )
    await asyncio.wait({asyncio.ensure_future(half), work}, return_when=asyncio.FIRST_COMPLETED)
    assert half.done(), work
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def _plugged_into(box: EngineContext, bench: Bench, other: Car) -> None:
    """Whatever is asked for, the other car is as it was, and the open write is still there."""
    healthy = other.ecu.memory.whole()
    box.connection = SimulatedCarInterface(other)
    vin = bench.definition.simulation.vin
    attempts = (
        recover(box),
        recover(box, bench.job, car=vin),
        recover(box, bench.job, original=True),
        dtc(box, bench.job, clear=True),
        reopen(box, bench.definition.id, car=vin),
    )
    codes = []
    for attempt in attempts:
        with pytest.raises(PitboxError) as caught:
            await attempt
        codes.append(caught.value.code)
        assert other.ecu.memory.whole() == healthy
        assert other.ecu.core.nvm.records.programming_attempts == 0
        assert box.journal.job(bench.job).state is JobState.INTERRUPTED
        assert any(one.half_written for one in standing(box.journal).open_writes)
    assert codes == ["ECU_CHANGED"] * 4 + ["WRITE_OPEN"]


async def _finished(box: EngineContext, scenario: Scenario, own: Car) -> None:
    bench = scenario.bench
    box.connection = SimulatedCarInterface(own)
    if bench.definition.accesses[0].recovery.recoverability == "bench":
        with pytest.raises(PitboxError, match="NEEDS_BENCH"):
            await recover(box)
        return
    assert (await recover(box))["result"] == "done"
    assert own.ecu.memory.whole() == scenario.change.memory
