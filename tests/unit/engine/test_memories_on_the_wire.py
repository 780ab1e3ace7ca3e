"""An ECU with two memories at the same addresses, through a whole job: which one a request means is data."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import bincopy
import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.operations import OfRestore, OfWrite
from appliance.definitions.schema import Definition
from appliance.engine.interruptions import settle
from appliance.engine.operations.check import verify
from appliance.engine.operations.preview import preview_restore, preview_write
from appliance.engine.operations.write import recover, restore, write
from appliance.flashing.borrowed_access import borrow
from appliance.flashing.image import MemoryImage
from appliance.vault.export import ExportFormat, export_image
from simulator.ecu.watch import Counter
from simulator.faults import Fault, FaultKind, FaultPlan, Trigger
from simulator.injection import FaultInjector
from tests.support.definitions import raw, validated
from tests.support.two_memories import WISH, Job, on_a_car, two_memories


def test_both_are_read_written_verified_and_put_back(tmp_path: Path) -> None:
    async def test(job: Job) -> None:
        stock = job.stored
        for region in job.definition.regions:
            assert stock.slice(region.place) == job.held(region.name)
        assert job.held("calibration") != job.held("maps")
        upload = job.hand_in(job.tuned("calibration", "maps"))
        asked = OfWrite(
            job=job.id, upload=upload, changed_regions=list(WISH.changed_regions), correct_checksums=True
        )
        shown = await preview_write(job.box, asked)
        assert {one["name"]: one["changed_bytes"] for one in shown["regions"]} == {
            "code": 0, "calibration": 7, "maps": 7,
        }  # fmt: skip
        done = await write(job.box, job.id, upload, WISH)
        assert done["result"] == "done"
        names = [region.name for region in job.definition.regions]
        changed = [name for name in names if not _is_stock(job, stock, name)]
        assert changed == ["calibration", "maps"]
        assert (await verify(job.box, job.id))["blocks"] == 16
        assert (await preview_restore(job.box, OfRestore(job=job.id)))["compared_with"] == "last_write"
        assert (await restore(job.box, job.id))["result"] == "restored"
        assert all(_is_stock(job, stock, region.name) for region in job.definition.regions)

    on_a_car(tmp_path, test)


def _is_stock(job: Job, stock: MemoryImage, name: str) -> bool:
    return job.held(name) == stock.slice(job.definition.region(name).place)


def with_bench() -> Definition:
    """A second access that reaches one of the two memories."""
    tables = raw(two_memories())
    (own,) = tables["access"]
    bench = {**own, "name": "bench-flash", "method": "bench", "memories": ["flash"], "address_spaces": []}
    tables["access"].append(bench)
    return validated(tables)


def test_what_another_access_does_not_reach_stays_and_is_told(tmp_path: Path) -> None:
    async def test(job: Job) -> None:
        stock = job.stored
        await write(job.box, job.id, job.hand_in(job.tuned("calibration", "maps")), WISH)
        shown = await preview_restore(job.box, OfRestore(job=job.id, access="bench-flash"))
        assert (shown["access"], shown["left_out"], shown["refused"]) == ("bench-flash", ["eeprom"], [])
        done = await restore(job.box, job.id, access="bench-flash")
        assert (done["result"], done["left_out"]) == ("restored", ["eeprom"])
        assert _is_stock(job, stock, "calibration")
        assert not _is_stock(job, stock, "maps")
        assert job.box.journal.job(job.id).detail["access"] == job.definition.accesses[0].name
        assert (await verify(job.box, job.id))["blocks"] == 16
        shown = await preview_restore(job.box, OfRestore(job=job.id))
        assert {one["name"]: one["changed_bytes"] for one in shown["regions"]} == {
            "code": 0, "calibration": 0, "maps": 7,
        }  # fmt: skip
        assert (await restore(job.box, job.id))["left_out"] == []
        assert _is_stock(job, stock, "maps")
        with pytest.raises(PitboxError, match="ACCESS_UNKNOWN"):
            await restore(job.box, job.id, access="nowhere")

    on_a_car(tmp_path, test, with_bench())


def test_a_restore_over_another_access_is_recovered_over_it(tmp_path: Path) -> None:
    async def test(job: Job) -> None:
        stock = job.stored
        await write(job.box, job.id, job.hand_in(job.tuned("calibration", "maps")), WISH)
        done = job.car.ecu.core.watch.totals[Counter.PROGRAMMED]
        cut = Fault(kind=FaultKind.POWER_CUT, on=Trigger.PROGRAMMED, at=done + 2000, duration_s=0.0)
        FaultInjector(FaultPlan(faults=(cut,)), job.car, lambda: None)
        with pytest.raises(PitboxError, match="WRITE_INTERRUPTED"):
            await restore(job.box, job.id, access="bench-flash")
        job.car.power_up()
        await asyncio.sleep(2)
        assert job.box.journal.job(job.id).detail["access"] == "bench-flash"
        assert (await recover(job.box, job.id))["left_out"] == ["eeprom"]
        assert _is_stock(job, stock, "calibration")
        assert not _is_stock(job, stock, "maps")
        assert job.box.journal.job(job.id).detail["access"] == job.definition.accesses[0].name
        assert (await restore(job.box, job.id))["left_out"] == []
        assert _is_stock(job, stock, "maps")

    on_a_car(tmp_path, test, with_bench())


def test_a_box_that_died_before_a_restore_over_another_access_wrote_keeps_its_own(tmp_path: Path) -> None:
    """The other access is noted before the gates, which may look at memory for minutes."""

    async def test(job: Job) -> None:
        journal, own = job.box.journal, job.definition.accesses[0].name
        borrow(journal, journal.job(job.id), "bench-flash")
        borrow(journal, journal.job(job.id), "bench-flash")
        settle(journal)
        assert journal.job(job.id).detail["access"] == own

    on_a_car(tmp_path, test, with_bench())


def test_a_file_of_one_memory_names_it(tmp_path: Path) -> None:
    """Both regions of the same length have the same addresses: nothing else tells whose the file is."""

    async def test(job: Job) -> None:
        content = job.edited("maps")[job.definition.region("maps").place.at]
        hexes = bincopy.BinFile()
        hexes.add_binary(content, address=0x20_0000)
        for data in (content, hexes.as_ihex().encode()):
            with pytest.raises(PitboxError, match=r"FILE_LENGTH|FILE_AMBIGUOUS"):
                await write(job.box, job.id, job.hand_in(data), WISH)
            wish = replace(WISH, memory="eeprom")
            assert (await write(job.box, job.id, job.hand_in(data), wish))["result"] == "done"
            assert job.held("maps") == content
        with pytest.raises(PitboxError, match="MEMORY_UNKNOWN"):
            await write(job.box, job.id, job.hand_in(content), replace(WISH, memory="nowhere"))
        original = job.box.images.load(str(job.box.journal.job(job.id).original_file))
        exported = export_image(original, job.box.images, job.box.keys, ExportFormat.BIN, "eeprom")
        assert exported == job.stored.slice(job.definition.region("maps").place)

    on_a_car(tmp_path, test)


@pytest.mark.parametrize(
    ("on", "at"),
    [
        (Trigger.ERASED, 3000),
        (Trigger.ERASED, 30_000),
        (Trigger.PROGRAMMED, 2000),
        (Trigger.PROGRAMMED, 40_000),
    ],
)
def test_what_is_erased_together_is_whole_after_a_power_cut(tmp_path: Path, on: Trigger, at: int) -> None:
    """An erase of the calibration takes the code, and the maps are taken once the calibration is whole."""
    tables = raw(two_memories())
    regions = {region["name"]: region for memory in tables["memories"] for region in memory["regions"]}
    regions["calibration"]["erases_with"] = ["code"]
    regions["maps"]["depends_on"] = ["calibration"]

    async def test(job: Job) -> None:
        tuned = job.tuned("calibration", "maps")
        cut = Fault(kind=FaultKind.POWER_CUT, on=on, at=at, duration_s=0.0)
        FaultInjector(FaultPlan(faults=(cut,)), job.car, lambda: None)
        with pytest.raises(PitboxError, match="WRITE_INTERRUPTED"):
            await write(job.box, job.id, job.hand_in(tuned), WISH)
        job.car.power_up()
        await asyncio.sleep(2)
        assert (await recover(job.box, job.id))["result"] == "done"
        assert job.all_held() == tuned
        assert (await restore(job.box, job.id))["result"] == "restored"

    on_a_car(tmp_path, test, validated(tables))


@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("at", [5000, 13_000])
def test_a_power_cut_in_either_memory_is_recovered(tmp_path: Path, original: bool, at: int) -> None:
    async def test(job: Job) -> None:
        stock, tuned = job.stored, job.tuned("calibration", "maps")
        plan = FaultPlan(
            faults=(Fault(kind=FaultKind.POWER_CUT, on=Trigger.PROGRAMMED, at=at, duration_s=0.0),)
        )
        FaultInjector(plan, job.car, lambda: None)
        with pytest.raises(PitboxError, match="WRITE_INTERRUPTED"):
            await write(job.box, job.id, job.hand_in(tuned), WISH)
        job.car.power_up()
        await asyncio.sleep(2)
        done = await recover(job.box, job.id, original)
        assert done["result"] == ("restored" if original else "done")
        held = job.all_held()
        assert held == (b"".join(stock.spans.values()) if original else tuned)

    on_a_car(tmp_path, test)
