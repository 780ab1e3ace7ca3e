"""Whole jobs by steps that no pack ships with: a bit rate, an upload, a question, the length that travels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.schema import Definition
from appliance.engine.operations.read import read
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.safety import standing
from appliance.ports.missing import MissingPorts
from appliance.ports.simulated import SimulatedCarInterface
from drivers.can.interface import CanPort
from drivers.person.simulated import Reply, SimulatedPerson
from simulator.ecu.watch import Counter
from tests.support.step_variants import (
    QUESTION,
    announces_wire,
    asks_first,
    of_pack,
    read_by_upload,
    written_faster,
)
from tests.support.two_memories import Job, on_a_car

LINKS = of_pack("pbx-q250", written_faster, read_by_upload, asks_first)
WIRE = of_pack("pbx-v381", announces_wire)
REGION = {LINKS.id: "cal", WIRE.id: "parameters"}
WILLING = [Reply("done")] * 20
LATE, WRONG, NEVER = [Reply("done", after_s=61)], [Reply("stop")], []


def person(job: Job, replies: Sequence[Reply]) -> SimulatedPerson:
    """Who answers from now on."""
    someone = SimulatedPerson({QUESTION: replies})
    assert isinstance(job.box.connection, SimulatedCarInterface)
    job.box.connection._person = someone
    return someone


def wish(job: Job) -> MasterWish:
    return MasterWish(changed_regions=(REGION[job.definition.id],))


def cut_after(job: Job, count: int) -> None:
    """The car loses its supply once so many more bytes are programmed."""
    watch = job.car.ecu.core.watch
    watch.at(Counter.PROGRAMMED, watch.totals[Counter.PROGRAMMED] + count, lambda _: job.car.power_cut())


@pytest.mark.parametrize("definition", [LINKS, WIRE], ids=["links", "wire"])
@pytest.mark.parametrize("at", [1, 0x900])
def test_a_whole_job_with_a_cut_in_its_middle(tmp_path: Path, definition: Definition, at: int) -> None:
    async def test(job: Job) -> None:
        person(job, WILLING)
        stock, name = job.all_held(), REGION[definition.id]
        assert b"".join(bytes(data) for _, data in job.stored.pieces) == stock
        tuned = job.tuned(name)
        cut_after(job, at)
        with pytest.raises(PitboxError, match="WRITE_INTERRUPTED"):
            await write(job.box, job.id, job.hand_in(tuned), wish(job))
        job.car.power_up()
        await asyncio.sleep(3)
        done = await recover(job.box, job.id)
        assert (done["result"], job.all_held()) == ("done", tuned)
        back = await restore(job.box, job.id)
        assert (back["result"], job.all_held()) == ("restored", stock)

    on_a_car(tmp_path, test, definition)


@pytest.mark.parametrize("replies", [LATE, WRONG, NEVER], ids=["late", "wrong", "never"])
def test_whoever_does_not_answer_as_it_goes_on_loses_nothing(tmp_path: Path, replies: list[Reply]) -> None:
    """Before the first erase, and in the middle of a recovery, whose write stays open until somebody does."""

    async def test(job: Job) -> None:
        stock, tuned = job.all_held(), job.tuned("cal")
        code = "QUESTION_DECLINED" if replies is WRONG else "QUESTION_UNANSWERED"
        person(job, replies)
        with pytest.raises(PitboxError, match=code):
            await write(job.box, job.id, job.hand_in(tuned), wish(job))
        assert job.all_held() == stock and not job.box.journal.open_flashes()
        person(job, WILLING)
        cut_after(job, 0x900)
        with pytest.raises(PitboxError, match="WRITE_INTERRUPTED"):
            await write(job.box, job.id, job.hand_in(tuned), wish(job))
        job.car.power_up()
        await asyncio.sleep(3)
        held = job.all_held()
        asked = person(job, replies)
        with pytest.raises(PitboxError, match=code):
            await recover(job.box, job.id)
        assert asked.asked and job.all_held() == held
        assert standing(job.box.journal, job.id).open_writes
        person(job, WILLING)
        assert (await recover(job.box, job.id))["result"] == "done"
        assert job.all_held() == tuned

    on_a_car(tmp_path, test, LINKS)


class Stiff(SimulatedCarInterface):
    """As SocketCAN: another rate is another interface."""

    def rate_change(self, port: CanPort) -> Callable[[int], None]:
        return MissingPorts.rate_change(self, port)


def test_a_box_whose_interface_keeps_its_rate_erases_nothing(tmp_path: Path) -> None:
    async def test(job: Job) -> None:
        stock = job.all_held()
        job.box.connection = Stiff(job.car, person=SimulatedPerson({QUESTION: WILLING}))
        with pytest.raises(PitboxError, match="CAN_RATE_FIXED") as caught:
            await write(job.box, job.id, job.hand_in(job.tuned("cal")), wish(job))
        assert caught.value.do_now and job.all_held() == stock
        assert not job.box.journal.open_flashes()
        await read(job.box, job.id)

    on_a_car(tmp_path, test, LINKS)


def test_an_ecu_that_was_announced_another_length_is_not_called_written(tmp_path: Path) -> None:
    """It wants to know what travels, and is told the length in memory, which is not what came."""

    async def test(job: Job) -> None:
        stock, core = job.all_held(), job.car.ecu.core
        core.definition = WIRE
        with pytest.raises(PitboxError):
            await write(job.box, job.id, job.hand_in(job.tuned("parameters")), wish(job))
        assert standing(job.box.journal, job.id).open_writes
        core.definition = job.definition
        await asyncio.sleep(6)
        await recover(job.box, job.id, original=True)
        assert job.all_held() == stock

    on_a_car(tmp_path, test, of_pack("pbx-v381"))
