"""Whole jobs over the shipped access on the bench: the same heart, another way in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, restore, write
from appliance.ports.simulated import SimulatedCarInterface
from drivers.person.simulated import SimulatedPerson
from simulator.bench.bench import Bench
from simulator.ecu.chip import Program
from simulator.ecu.watch import Counter
from tests.support.bench import connected
from tests.support.garage import PACK, Garage, Readied, open_garage, visit

Scene = Callable[["Table"], Awaitable[None]]


class Table:
    """The garage's ECU out of its car."""

    def __init__(self, garage: Garage) -> None:
        self.garage = garage
        access = garage.definition.access_named("bench")
        self.bench = Bench(garage.car)
        self.person = SimulatedPerson(connected(access, 2.0), "Kim")
        self.connect(garage)

    def connect(self, garage: Garage) -> None:
        """This box is the one on the bench."""
        self.garage = garage
        garage.box.connection = SimulatedCarInterface(garage.car, self.bench, self.person)

    async def read_job(self) -> str:
        """A job on the bench whose original is sealed."""
        box = self.garage.box
        job = str((await identify(box, PACK, "bench"))["job"])
        await read(box, job)
        self.garage.job = job
        return job

    def package(self) -> str:
        """A tuned file for the job, handed in."""
        return self.garage.hand_in(self.garage.package(method="bench"))

    def entries(self) -> list[dict[str, Any]]:
        events = self.garage.box.journal.events
        return [one for one in events.between(0, events.head, 100_000) if one["kind"] == "entry"]


def on_bench(slave: Readied, scene: Scene) -> None:
    async def inside(garage: Garage) -> None:
        await scene(Table(garage))

    visit(slave, inside)


def test_a_whole_job_on_the_bench_and_everything_is_off_behind_each_step(slave: Readied) -> None:
    async def scene(at: Table) -> None:
        box, job = at.garage.box, await at.read_job()
        kept = box.journal.job(job)
        assert (kept.method, kept.detail["access"], kept.state) == ("bench", "bench", JobState.READ_VERIFIED)
        assert (await write(box, job, at.package()))["result"] == "done"
        assert at.bench.is_safe and not at.garage.untouched
        assert (await restore(box, job))["result"] == "restored"
        assert at.bench.is_safe and at.garage.untouched
        assert len(at.person.asked) == 2 * 6, "by identify, which has no job yet, and once in the job"
        assert {event["access"] for event in at.entries()} == {"bench"}
        assert at.entries()[-1]["what"] == "pins released, supply off"

    on_bench(slave, scene)


def test_a_cut_of_the_boxs_power_leads_through_the_same_entry(slave: Readied) -> None:
    async def scene(at: Table) -> None:
        box, job = at.garage.box, await at.read_job()
        upload = at.package()
        dead: list[str] = []

        def dies(_address: int) -> None:
            at.bench.box_dies()
            dead.append("dark")
            writing.cancel()

        at.garage.car.ecu.core.watch.at(Counter.PROGRAMMED, 3000, dies)
        writing = asyncio.ensure_future(write(box, job, upload))
        with pytest.raises((asyncio.CancelledError, PitboxError)):
            await writing
        assert dead and at.garage.car.ecu.program is Program.OFF and not at.bench.driven
        copied = slave.copy(slave.state.with_name("next life"))
        box.journal.close()
        again = open_garage(copied, at.garage.car)
        again.job = job
        at.connect(again)
        asked = len(at.person.asked)
        assert (await recover(again.box, job))["result"] == "done"
        assert len(at.person.asked) == asked + 6 and at.bench.is_safe

    on_bench(slave, scene)


def test_an_error_on_the_bench_leaves_the_ecu_untouched_and_the_supply_off(slave: Readied) -> None:
    async def scene(at: Table) -> None:
        job = await at.read_job()
        at.bench.wires.open("ground")
        error = await at.garage.refusal(write(at.garage.box, job, at.package()))
        assert (error.code, error.ecu) == ("GROUND_MISSING", EcuSafety.UNTOUCHED)
        assert at.bench.is_safe and not at.bench.offences and at.garage.untouched
        assert [event["outcome"] for event in at.entries()[-2:]] == ["failed", "safe"]
        assert at.garage.box.journal.job(job).state is JobState.READ_VERIFIED
        at.bench.mend()
        assert (await write(at.garage.box, job, at.package()))["result"] == "done"

    on_bench(slave, scene)


def test_a_supply_that_is_lost_in_the_middle_is_not_waited_for_without_end(slave: Readied) -> None:
    async def scene(at: Table) -> None:
        job = await at.read_job()
        at.garage.car.ecu.core.watch.at(Counter.PROGRAMMED, 3000, lambda _address: at.bench.blow())
        error = await at.garage.refusal(write(at.garage.box, job, at.package()))
        assert error.code in ("BENCH_SUPPLY_LOST", "WRITE_INTERRUPTED")
        assert error.ecu is EcuSafety.HALF_WRITTEN and at.bench.is_safe
        at.bench.mend()
        asked = len(at.person.asked)
        assert (await recover(at.garage.box, job))["result"] == "done"
        assert len(at.person.asked) == asked + 6, "the supply was lost"

    on_bench(slave, scene)


def test_nobody_is_asked_for_wires_of_an_ecu_that_may_be_in_its_car(slave: Readied) -> None:
    async def scene(at: Table) -> None:
        error = await at.garage.refusal(identify(at.garage.box, PACK))
        assert error.code == "ECU_NOT_FOUND" and "--access bench" in error.do_now
        assert not at.person.asked and at.bench.is_safe
        error = await at.garage.refusal(identify(at.garage.box, PACK, "boot"))
        assert error.code == "ACCESS_UNKNOWN" and "only obd, bench" in error.what

    on_bench(slave, scene)
