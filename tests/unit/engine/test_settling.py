"""An ECU that needs the bench is warned of until it is proven, or a named person says what became of it."""

from __future__ import annotations

import asyncio

import pytest

from appliance.contract.errors import EcuSafety
from appliance.contract.jobs import JobState
from appliance.engine.operations.settling import settle
from appliance.engine.operations.write import recover
from appliance.engine.report import report_of
from appliance.flashing.journal import Journal
from appliance.flashing.marks import MarksFile
from appliance.flashing.safety import standing
from tests.support.garage import Garage, Readied, visit
from tests.unit.engine.test_refused_conditions import interrupted_write

WHO, WHY = "A. Smith", "ECU replaced by the dealer"


async def benched(garage: Garage) -> None:
    """Half written, silent, and of a kind that no bootloader answers for."""
    await interrupted_write(garage)
    garage.car.power_cut()
    garage.car.power_up()
    await asyncio.sleep(1)
    assert (await garage.refusal(recover(garage.box))).code == "NEEDS_BENCH"


def test_a_persons_word_ends_the_warning_and_is_kept(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        journal = garage.box.journal
        await benched(garage)
        assert [one.job for one in standing(journal).open_writes] == [garage.job]
        marks = MarksFile(journal.path.parent, garage.box.keys.record_mac)
        assert marks.read().copies[0].writes[0].in_danger
        await settle(garage.box, garage.job, WHO, WHY)
        assert standing(journal).open_writes == ()
        assert not any(mark.in_danger for copy in marks.read().copies for mark in copy.writes)
        (word,) = report_of(journal, garage.job, garage.definition)["settled"]
        assert (word["by"], word["reason"]) == (WHO, WHY)
        assert standing(journal, garage.job).ecu is EcuSafety.UNKNOWN, "a word is no proof"
        assert standing(journal).ecu is EcuSafety.UNTOUCHED, "and no other car's concern"
        again = Journal(journal.path, lambda: 0.0, garage.box.keys.record_mac)
        assert (again.differences, standing(again).open_writes) == ((), ())
        again.close()
        assert (await garage.refusal(settle(garage.box, garage.job, WHO, WHY))).code == "NOTHING_TO_SETTLE"

    visit(slave, scene)


def test_a_write_that_can_be_recovered_is_never_settled(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await interrupted_write(garage)
        error = await garage.refusal(settle(garage.box, garage.job, WHO, WHY))
        assert (error.code, error.ecu) == ("NOTHING_TO_SETTLE", EcuSafety.HALF_WRITTEN)
        assert f"`pitbox recover --job {garage.job}`" in error.do_now
        assert [one.half_written for one in standing(garage.box.journal).open_writes] == [True]

    visit(slave, scene)


@pytest.mark.parametrize("original", [True, False])
def test_an_ecu_that_comes_back_whole_is_proven_without_any_write(slave: Readied, original: bool) -> None:
    async def scene(garage: Garage) -> None:
        tuned = garage.whole(garage.calibration())
        await benched(garage)
        core = garage.car.ecu.core
        core.memory.force(0, garage.stock if original else tuned)
        core.note_programmed(0, len(garage.stock))  # as a bench tool leaves it
        assert core.judge_memory()
        garage.car.power_cut()
        garage.car.power_up()
        await asyncio.sleep(1)
        result = await recover(garage.box, garage.job, original=original)
        assert result["result"] == ("restored" if original else "done")
        state = JobState.RESTORED if original else JobState.DONE
        assert garage.box.journal.job(garage.job).state is state
        assert standing(garage.box.journal).open_writes == ()

    visit(slave, scene)
