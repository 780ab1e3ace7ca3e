"""A half-written ECU does not keep the box from another car where a named person says so."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.access.uds import uds_access
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.registry import prepare
from appliance.engine.operations.restore_without_journal import reopen
from appliance.engine.operations.setting_aside import set_aside
from appliance.engine.operations.settling import settle
from appliance.engine.operations.write import recover, restore
from appliance.engine.report import report_of
from appliance.flashing.journal import Journal
from appliance.flashing.marks import MarksFile
from appliance.flashing.safety import standing
from appliance.flashing.session_end import must_stay
from appliance.flashing.set_aside import refuse_same_ecu
from appliance.protocols.access import EcuIdentity
from tests.support.garage import Garage, Readied, visit
from tests.unit.engine.test_another_car import recoverable
from tests.unit.engine.test_refused_conditions import interrupted_write

WHO, WHY = "A. Smith", "waits for a programming supply"
OTHER_VIN = "ANOTHERCAR0000001"


async def plug_into(garage: Garage, vin: str, memory: bytes) -> bytes:
    """The plug sits in another car with the same kind of ECU; what the one before holds."""
    core = garage.car.ecu.core
    before = core.memory.whole()
    simulation = core.definition.simulation.model_copy(update={"vin": vin})
    core.definition = core.definition.model_copy(update={"simulation": simulation})
    core.memory.force(0, memory)
    core.note_programmed(0, len(memory))
    assert core.judge_memory() == (memory == garage.stock)
    garage.car.power_cut()
    garage.car.power_up()
    await asyncio.sleep(1)
    return before


def with_a_bootloader(garage: Garage) -> None:
    """An ECU that survives being unplugged half written."""
    garage.use(recoverable(garage.definition))


async def another_car_read(garage: Garage) -> str:
    """A job of another car, whose original is sealed."""
    own = garage.car.ecu.core.definition.simulation.vin or ""
    await plug_into(garage, OTHER_VIN, garage.stock)
    job = str((await identify(garage.box))["job"])
    await read(garage.box, job)
    await plug_into(garage, own, garage.stock)
    return job


def test_another_car_is_served_and_the_first_one_recovered_afterwards(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        with_a_bootloader(garage)
        journal, own = garage.box.journal, garage.car.ecu.core.definition.simulation.vin or ""
        other = await another_car_read(garage)
        await interrupted_write(garage)
        half = await plug_into(garage, OTHER_VIN, garage.stock)
        refused = await garage.refusal(restore(garage.box, other))
        assert next(iter(refused.details)).startswith("no_open_write"), refused.details
        await set_aside(garage.box, garage.job, WHO, WHY)
        assert (await restore(garage.box, other))["result"] == "restored"
        assert standing(journal, other).ecu is EcuSafety.INTACT
        (left,) = standing(journal).open_writes
        assert (left.job, left.half_written, left.set_aside_by) == (garage.job, True, WHO)
        nameless = await garage.refusal(recover(garage.box))
        assert nameless.code == "NOTHING_TO_RECOVER"
        assert f"`pitbox recover --job {garage.job}`" in nameless.do_now
        await plug_into(garage, own, half)
        assert (await recover(garage.box, garage.job))["result"] == "done"
        assert standing(journal).open_writes == ()
        (word,) = report_of(journal, garage.job, garage.definition)["set_aside"]
        assert (word["by"], word["reason"]) == (WHO, WHY)

    visit(slave, scene)


def test_the_warning_stays_and_the_word_is_kept(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        journal = garage.box.journal
        await interrupted_write(garage)
        work = prepare("set_aside", {"job": garage.job, "by": WHO, "reason": WHY})(garage.box)
        assert (await work)["by"] == WHO
        assert journal.open_flashes() == []
        assert journal.job(garage.job).state is JobState.INTERRUPTED
        (left,) = standing(journal, garage.job).open_writes
        assert (left.set_aside_by, left.set_aside_reason, left.state) == (WHO, WHY, "interrupted")
        assert standing(journal, garage.job).ecu is EcuSafety.HALF_WRITTEN
        assert must_stay(journal, uds_access(garage.definition), garage.job), (
            "its session is its only way back"
        )
        marks = MarksFile(journal.path.parent, garage.box.keys.record_mac).read()
        assert all(copy.writes[0].in_danger for copy in marks.copies)
        again = Journal(journal.path, lambda: 0.0, garage.box.keys.record_mac)
        assert (again.differences, standing(again).open_writes) == ((), (left,))
        again.close()

    visit(slave, scene)


def test_a_journal_that_is_lost_leaves_it_set_aside_and_half_written(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await interrupted_write(garage)
        await set_aside(garage.box, garage.job, WHO, WHY)
        folder = garage.box.journal.path.parent
        empty = folder.parent / "empty"
        empty.mkdir()
        for record in MarksFile(folder, garage.box.keys.record_mac).paths:
            shutil.copy(record, empty / record.name)
        after = Journal(empty / "journal.db", lambda: 0.0, garage.box.keys.record_mac)
        assert "is set aside and has begun to erase" in after.differences[0].text
        (left,) = standing(after).open_writes
        assert (left.half_written, left.set_aside_by) == (True, "somebody")
        assert after.job(garage.job).state is JobState.INTERRUPTED
        after.close()

    visit(slave, scene)


def test_the_same_ecu_stays_refused_for_every_other_write(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        journal = garage.box.journal
        same = str((await identify(garage.box))["job"])
        await read(garage.box, same)
        await interrupted_write(garage)
        await set_aside(garage.box, garage.job, WHO, WHY)
        memory = garage.car.ecu.memory.whole()
        error = await garage.refusal(restore(garage.box, same))
        assert any(line.startswith("no_open_write") for line in error.details)
        assert (await garage.refusal(restore(garage.box, garage.job))).code == "JOB_STATE"
        for job in (same, garage.job):
            with pytest.raises(PitboxError) as refused:
                refuse_same_ecu(journal, journal.job(job))
            assert refused.value.code == "WRITE_SET_ASIDE"
        known = journal.job(same)
        journal.create_job("fresh")
        identity = known.identity or EcuIdentity()
        journal.describe("fresh", str(known.definition_id), str(known.definition_sha256), "obd", identity)
        journal.move("fresh", JobState.IDENTIFIED)
        reading = await garage.refusal(read(garage.box, "fresh"))
        assert f"`pitbox recover --job {garage.job}`" in reading.do_now, "what it holds is no original"
        jobs = len(journal.jobs())
        original = journal.job(garage.job).original_file
        vin = garage.car.ecu.core.definition.simulation.vin
        rescue = await garage.refusal(reopen(garage.box, garage.definition.id, original, vin))
        assert rescue.code == "WRITE_SET_ASIDE"
        assert len(journal.jobs()) == jobs, "nothing is kept of a rescue that is refused"
        assert garage.car.ecu.memory.whole() == memory

    visit(slave, scene)


def test_only_a_write_that_stands_in_the_way_is_set_aside(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        error = await garage.refusal(set_aside(garage.box, garage.job, WHO, WHY))
        assert (error.code, error.ecu) == ("NOTHING_TO_SET_ASIDE", EcuSafety.UNTOUCHED)
        await interrupted_write(garage)
        await set_aside(garage.box, garage.job, WHO, WHY)
        again = await garage.refusal(set_aside(garage.box, garage.job, WHO, WHY))
        assert (again.code, again.ecu) == ("NOTHING_TO_SET_ASIDE", EcuSafety.HALF_WRITTEN)
        settled = await garage.refusal(settle(garage.box, garage.job, WHO, WHY))
        assert settled.code == "NOTHING_TO_SETTLE", "it can be recovered, and must be"

    visit(slave, scene)


@pytest.mark.parametrize("asked", [{"by": " ", "reason": WHY}, {"by": WHO}, {"by": WHO, "reason": ""}])
def test_a_word_needs_a_name_and_a_reason(asked: dict[str, str]) -> None:
    with pytest.raises(PitboxError) as refused:
        prepare("set_aside", {"job": "j", **asked})
    assert refused.value.code == "PARAMETERS_INVALID"


def test_whoever_comes_back_to_it_stands_in_the_way_again(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        journal = garage.box.journal
        other = await another_car_read(garage)
        await interrupted_write(garage)
        await set_aside(garage.box, garage.job, WHO, WHY)
        flash = journal.last_flash(garage.job)
        assert flash is not None
        journal.resume_flash(flash, flash.write_order)
        assert [one.job_id for one in journal.open_flashes()] == [garage.job]
        assert standing(journal).open_writes[0].set_aside_by is None
        with pytest.raises(PitboxError, match="WRITE_OPEN"):
            journal.refuse_second_write()
        assert journal.job(other).state is JobState.READ_VERIFIED

    visit(slave, scene)
