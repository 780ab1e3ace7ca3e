"""A read that is cancelled, killed or refused leaves a job that one can go on with."""

from __future__ import annotations

import asyncio

import pytest

from appliance.cli.choosing import writable
from appliance.contract.jobs import JobState
from appliance.definitions.schema import Definition
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import restore, write
from appliance.engine.originals import open_image, sealed_regions
from appliance.engine.plaintext import Opened
from simulator.ecu.watch import Counter
from tests.support.definitions import with_regions
from tests.support.garage import Garage, Readied, open_garage, visit
from tests.unit.engine.test_jobs_on_a_box import stopped_at


def shown(garage: Garage, job: str) -> dict[str, object]:
    """As a client sees it in the list of jobs."""
    record = garage.box.journal.job(job)
    return {"state": record.state.value, "original": record.original_file}


@pytest.mark.parametrize("killed", [False, True])
def test_a_second_read_that_stops_hides_no_original(slave: Readied, killed: bool) -> None:
    async def scene(garage: Garage) -> None:
        work = asyncio.ensure_future(read(garage.box, garage.job))
        await stopped_at(garage, Counter.READ, 50_000, work)
        if killed:
            if garage.box.journal.job(garage.job).state is not JobState.READING:
                garage.box.journal.move(garage.job, JobState.READING)
            garage.box.journal.close()
            garage.box = open_garage(slave, garage.car).box
        assert writable(shown(garage, garage.job))
        before = garage.car.ecu.core.watch.totals[Counter.READ]
        assert (await read(garage.box, garage.job))["full"]
        moved = garage.car.ecu.core.watch.totals[Counter.READ] - before
        assert moved < 2 * len(garage.stock)
        assert writable(shown(garage, garage.job))

    visit(slave, scene)


def test_a_write_makes_what_an_unfinished_read_had_worthless(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        work = asyncio.ensure_future(read(garage.box, garage.job))
        await stopped_at(garage, Counter.READ, 50_000, work)
        await restore(garage.box, garage.job)
        before = garage.car.ecu.core.watch.totals[Counter.READ]
        await read(garage.box, garage.job)
        assert garage.car.ecu.core.watch.totals[Counter.READ] - before >= 2 * len(garage.stock)

    visit(slave, scene)


def test_a_write_makes_another_jobs_unfinished_read_worthless(slave: Readied) -> None:
    """It would be sealed as an original of which one half is from before the write, the other from after."""

    async def scene(garage: Garage) -> None:
        job = str((await identify(garage.box))["job"])
        work = asyncio.ensure_future(read(garage.box, job))
        await stopped_at(garage, Counter.READ, 2 * len(garage.stock) - 20_000, work)
        code = garage.definition.region("code")
        changed = bytearray(garage.car.ecu.memory.read(code.start, code.size_bytes))
        changed[0x1000] ^= 0x5A
        package = garage.package(
            regions=sealed_regions([code]),
            contents={code.place.at: bytes(changed)},
            changed_ranges=(code.place,),
        )
        await write(garage.box, garage.job, garage.hand_in(package))
        sealed = (await read(garage.box, job))["file"]
        image = open_image(garage.box, sealed, Opened())
        assert b"".join(image.spans.values()) == garage.car.ecu.memory.whole()

    visit(slave, scene)


def hide(garage: Garage, name: str) -> None:
    """The ECU does not let this region be read, whatever its definition says."""
    region = garage.definition.region(name)

    def readable(start: int, size: int) -> bool:
        return not (start < region.end and region.start < start + size)

    garage.car.ecu.core.readable = readable  # type: ignore[method-assign]


def without(definition: Definition, name: str) -> Definition:
    """The definition says that this region cannot be read."""
    regions = tuple(
        region.model_copy(update={"readable": region.name != name}) for region in definition.regions
    )
    return with_regions(definition, regions)


@pytest.mark.parametrize("name", ["boot", "code", "calibration"])
def test_a_region_that_cannot_be_read_strands_no_job(slave: Readied, name: str) -> None:
    async def scene(garage: Garage) -> None:
        job = str((await identify(garage.box))["job"])
        hide(garage, name)
        for _ in range(2):
            error = await garage.refusal(read(garage.box, job))
            assert error.code == "REGION_UNREADABLE"
            assert name in error.what
            assert "readable = false" in error.do_now
            assert garage.box.journal.job(job).state is JobState.IDENTIFIED
        others = [region.name for region in garage.definition.regions if region.name != name]
        assert ",".join(others) in error.do_now
        assert not (await read(garage.box, job, others))["full"]

    visit(slave, scene)


def test_a_region_that_the_definition_says_cannot_be_read_is_left_out(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        hide(garage, "boot")
        garage.use(without(garage.definition, "boot"))
        job = str((await identify(garage.box))["job"])
        assert (await read(garage.box, job))["full"]
        assert (await restore(garage.box, job))["result"] == "restored"

    visit(slave, scene)
