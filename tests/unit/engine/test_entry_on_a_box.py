"""A job on an ECU that has to be powered and strapped first, and is asked for by a question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from appliance.contract.entry_events import EntryOutcome, entry_event
from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.phrases import phrase
from appliance.engine.context import EngineContext, open_box
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.settings import EngineSettings
from appliance.flashing.entry_record import write_down
from appliance.ports.simulated import SimulatedCarInterface
from appliance.protocols.ports import CarInterface
from drivers.person.simulated import Reply, SimulatedPerson
from drivers.supply.interface import Output
from drivers.supply.simulated import SimulatedSupply
from simulator.bench.bench import Bench, BenchSettings
from simulator.ecu.chip import Program
from simulator.ecu.watch import Counter
from tests.support.definitions import with_access
from tests.support.garage import PACK, Garage, Readied, open_garage, visit
from tests.unit.ports.entry_bench import IN_TIME, entry_of

WHOLE = [*["begun", "done"] * 8, "entered", "safe"]
Script = Mapping[str, Sequence[Reply]]


def entries(box: EngineContext, job: str) -> list[dict[str, Any]]:
    """What the journal tells of a job's entries."""
    told = box.journal.events.between(0, box.journal.events.head, 100_000)
    return [event for event in told if event["kind"] == "entry" and event["job_id"] == job]


def open_box_of(readied: Readied, ports: CarInterface) -> EngineContext:
    """The next life of a box, on its disk and with these ports."""
    return open_box(EngineSettings(readied.state, readied.state / "engine.sock", readied.role.value), ports)


class Workbench:
    """The garage's ECU out of its car, on a bench."""

    def __init__(self, garage: Garage, script: Script = IN_TIME) -> None:
        definition = with_access(garage.definition, entry=entry_of())
        garage.use(definition)
        self.garage = garage
        self.bench = Bench(garage.car, BenchSettings(straps={}))
        self.person = SimulatedPerson(script, "Kim")
        self.ports: CarInterface = SimulatedCarInterface(garage.car, self.bench, self.person)
        garage.box.connection = self.ports
        assert garage.car.ecu.program is Program.OFF

    def rows(self) -> list[dict[str, Any]]:
        return entries(self.garage.box, self.garage.job)

    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in self.rows()]


def on_bench(slave: Readied, scene: Callable[[Workbench], Awaitable[None]], script: Script = IN_TIME) -> None:
    async def inside(garage: Garage) -> None:
        await scene(Workbench(garage, script))

    visit(slave, inside)


def test_a_whole_job_goes_through_its_entry_and_leaves_everything_off(slave: Readied) -> None:
    async def scene(at: Workbench) -> None:
        job = str((await identify(at.garage.box, PACK))["job"])
        assert at.bench.is_safe
        at.garage.job = job
        await read(at.garage.box, job)
        assert at.bench.is_safe and at.outcomes() == WHOLE
        upload = at.garage.hand_in(at.garage.package())
        assert (await write(at.garage.box, job, upload))["result"] == "done"
        assert at.bench.is_safe and at.outcomes() == WHOLE * 2
        assert not at.garage.untouched
        assert (await restore(at.garage.box, job))["result"] == "restored"
        assert at.bench.is_safe and at.garage.untouched
        assert [question.about for question in at.person.asked] == [None, job, job, job]
        assert {row["access"] for row in at.rows()} == {"obd"}

    on_bench(slave, scene)


def test_without_its_name_an_ecu_on_the_bench_is_not_looked_for(slave: Readied) -> None:
    async def scene(at: Workbench) -> None:
        error = await at.garage.refusal(identify(at.garage.box))
        assert error.code == "ECU_NOT_FOUND" and "--definition ID" in error.do_now
        assert not at.person.asked and at.bench.is_safe

    on_bench(slave, scene)


@pytest.mark.parametrize("script", [{}, {"strap_connected": [Reply("done", 400)]}], ids=["never", "late"])
def test_a_question_that_nobody_answers_loses_nothing(slave: Readied, script: Script) -> None:
    async def scene(at: Workbench) -> None:
        garage = at.garage
        error = await garage.refusal(restore(garage.box, garage.job))
        assert (error.code, error.ecu) == ("QUESTION_UNANSWERED", EcuSafety.UNTOUCHED)
        assert at.bench.is_safe and garage.untouched
        assert at.outcomes() == ["begun", "failed", "safe"]
        assert garage.box.journal.job(garage.job).state is JobState.READ_VERIFIED
        assert not garage.box.journal.open_flashes()
        at.person._script = IN_TIME
        assert (await restore(garage.box, garage.job))["result"] == "restored"

    on_bench(slave, scene, script)


def test_swapped_wires_lose_nothing(slave: Readied) -> None:
    async def scene(at: Workbench) -> None:
        at.bench.wires.swap("supply", "ground")
        error = await at.garage.refusal(read(at.garage.box, at.garage.job))
        assert (error.code, error.ecu) == ("SUPPLY_TRIPPED", EcuSafety.UNTOUCHED)
        assert at.bench.is_safe and at.outcomes()[-2:] == ["failed", "safe"]
        at.bench.wires.mend()
        await read(at.garage.box, at.garage.job)

    on_bench(slave, scene)


def test_a_box_without_a_bench_says_what_it_lacks(slave: Readied) -> None:
    async def scene(at: Workbench) -> None:
        at.garage.box.connection = SimulatedCarInterface(at.garage.car)
        error = await at.garage.refusal(read(at.garage.box, at.garage.job))
        assert (error.code, error.details) == ("PORT_MISSING", ("bench supply",))
        assert not at.rows()

    on_bench(slave, scene)


def test_a_cancel_in_the_middle_of_a_read_leaves_the_lines_safe(slave: Readied) -> None:
    async def scene(at: Workbench) -> None:
        reading = asyncio.ensure_future(read(at.garage.box, at.garage.job))
        await asyncio.sleep(23)
        assert at.garage.car.ecu.program is Program.APPLICATION
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert at.bench.is_safe and at.outcomes() == WHOLE

    on_bench(slave, scene)


def test_a_power_cut_in_the_middle_of_an_entry_is_told_at_the_next_start(slave: Readied) -> None:
    async def scene(at: Workbench) -> None:
        reading = asyncio.ensure_future(read(at.garage.box, at.garage.job))
        await asyncio.sleep(20.5)
        assert at.outcomes()[-1] == "begun" and not at.bench.is_safe
        dead = at.garage.box.journal
        at.bench.box_dies()
        copied = slave.copy(slave.state.with_name("next life"))
        again = open_garage(copied, at.garage.car)
        assert at.bench.is_safe
        found = entries(again.box, at.garage.job)
        assert found[-1]["outcome"] == "cut"
        assert found[-1]["what"].startswith("the box stopped in it, behind: wait 1 s")
        again.box.journal.close()
        once_more = open_garage(copied, at.garage.car)
        assert entries(once_more.box, at.garage.job) == found, "told once"
        once_more.box.journal.close()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert dead is at.garage.box.journal

    on_bench(slave, scene)


@pytest.mark.parametrize("obeys", [True, False])
def test_a_supply_that_was_left_on_by_a_box_that_died_is_switched_off_or_told(
    obeys: bool, slave: Readied, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(at: Workbench) -> None:
        journal, job = at.garage.box.journal, at.garage.job
        at.bench.supply.set_output(Output.SUPPLY, True)
        left = phrase("entry.supply_kept")
        write_down(journal, entry_event(job, "obd", EntryOutcome.SAFE, left))
        copied = slave.copy(slave.state.with_name("next life"))
        supply = at.ports.supply()
        assert isinstance(supply, SimulatedSupply)
        supply.gone = not obeys
        again = open_box_of(copied, at.ports)
        last = entries(again, job)[-1]
        if obeys:
            assert not at.bench.supply.on
            assert (last["outcome"], last["key"]) == ("cut", "entry.kept_off")
        else:
            assert at.bench.supply.on == {Output.SUPPLY}
            assert (last["outcome"], last["key"]) == ("unsafe", "entry.kept_on")
            assert "the simulated supply does not answer" in last["what"]
            assert (again.journal.events.latest("alarm") or {})["code"] == "LINES_NOT_SAFE"
        again.journal.close()
        once_more = open_box_of(copied, at.ports)
        assert entries(once_more, job)[-1] == last, "told once"
        once_more.journal.close()

    on_bench(slave, scene)


def test_a_supply_that_was_left_on_and_cannot_be_reached_is_told(slave: Readied) -> None:
    async def scene(at: Workbench) -> None:
        journal, job = at.garage.box.journal, at.garage.job
        write_down(journal, entry_event(job, "obd", EntryOutcome.SAFE, phrase("entry.supply_on")))
        copied = slave.copy(slave.state.with_name("next life"))
        again = open_box_of(copied, SimulatedCarInterface(at.garage.car))
        last = entries(again, job)[-1]
        assert (last["outcome"], last["key"]) == ("unsafe", "entry.kept_on")
        assert "no bench supply to switch" in last["what"]
        again.journal.close()

    on_bench(slave, scene)


def test_a_half_written_ecu_that_a_reset_would_silence_keeps_its_supply_until_it_is_recovered(
    slave: Readied,
) -> None:
    async def scene(at: Workbench) -> None:
        garage = at.garage
        upload = garage.hand_in(garage.package())

        def strike(_address: int) -> None:
            at.bench.supply.sag(8.0, 2.0)
            writing.cancel()

        garage.car.ecu.core.watch.at(Counter.PROGRAMMED, 3000, strike)
        writing = asyncio.ensure_future(write(garage.box, garage.job, upload))
        with pytest.raises((asyncio.CancelledError, PitboxError)):
            await writing
        assert garage.box.journal.open_flashes()
        assert at.bench.supply.on == set(Output) and not at.bench.driven
        assert "the ECU would not come back" in at.rows()[-1]["what"]
        await asyncio.sleep(60)
        assert garage.car.ecu.program is Program.BOOTLOADER, "kept in its session"
        asked = len(at.person.asked)
        assert (await recover(garage.box, garage.job, True))["result"] == "restored"
        assert len(at.person.asked) == asked, "it was entered already"
        assert garage.untouched and at.bench.is_safe

    on_bench(slave, scene)
