"""A half-written ECU, and sealed bytes that rotted meanwhile: what is whole is used, what is not is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from appliance.contract.errors import EcuSafety
from appliance.contract.jobs import JobState
from appliance.definitions.library import Library
from appliance.definitions.loader import PACKS
from appliance.definitions.schema import Definition
from appliance.engine.operations.restore_without_journal import reopen
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.report import report_of
from appliance.flashing import history
from appliance.flashing.database import StorageError
from appliance.flashing.journal import Journal, Step
from appliance.flashing.write_order import WriteOrder
from simulator.ecu.chip import Program
from simulator.ecu.watch import Counter
from tests.support.definitions import with_access, with_regions
from tests.support.garage import Garage, Readied, visit
from tests.unit.engine.test_another_car import recoverable
from tests.unit.engine.test_refused_conditions import interrupted_write


async def half_written(garage: Garage, *, bootloader_reads: bool) -> None:
    """In its bootloader after a cut; that serves reads, or does not."""
    recovery, reading = {"recoverability": "bootloader"}, {"bootloader_reads": bootloader_reads}
    garage.use(with_access(garage.definition, recovery=recovery, reading=reading))
    await interrupted_write(garage)
    garage.car.power_cut()
    garage.car.power_up()
    await asyncio.sleep(1)
    assert garage.car.ecu.program is Program.BOOTLOADER


def rot(garage: Garage, which: str, region: str) -> None:
    """One bit of the sealed segment that holds the start of a region."""
    (flash,) = garage.box.journal.open_flashes()
    order = WriteOrder.from_json(flash.write_order)
    file_id = order.original_file if which == "original" else order.tuned_file
    assert file_id is not None
    start = garage.definition.region(region).start
    (segment,) = [one for one in garage.box.images.load(file_id).segments if one.place.start == start]
    path: Path = garage.box.blobs.path(segment.ct_sha256)
    data = bytearray(path.read_bytes())
    data[300] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("bootloader_reads", [True, False])
@pytest.mark.parametrize("region", ["boot", "code"])
def test_the_tuned_file_is_finished_whatever_of_the_rest_is_lost(
    slave: Readied, region: str, bootloader_reads: bool
) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=bootloader_reads)
        rot(garage, "original", region)
        result = await recover(garage.box)
        assert result["result"] == "done"
        assert garage.car.ecu.memory.whole() == garage.whole(tuned)
        verify = report_of(garage.box.journal, garage.job, garage.definition)["verify"]
        assert verify["result"] == ("pass" if bootloader_reads else "partial")
        sectors = garage.definition.region(region).sector_ranges()
        lost = [f"{region} 0x{one.start:08X}+0x{one.length:X}" for one in sectors]
        assert verify["unproven"] == ([] if bootloader_reads else lost)

    tuned = _tuned(slave)
    visit(slave, scene)


def test_the_tuned_file_needs_nothing_of_the_original_that_it_covers(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=False)
        rot(garage, "original", "calibration")
        error = await garage.refusal(recover(garage.box, original=True))
        assert (error.code, error.ecu) == ("TARGET_DAMAGED", EcuSafety.HALF_WRITTEN)
        calibration = garage.definition.region("calibration")
        assert f"0x{calibration.start:08X}" in error.details[0]
        assert "pitbox recover`" in error.do_now
        assert garage.box.journal.job(garage.job).state is JobState.INTERRUPTED
        result = await recover(garage.box)
        assert (result["result"], result["verify"]["result"]) == ("done", "pass")
        assert garage.car.ecu.memory.whole() == garage.whole(tuned)

    tuned = _tuned(slave)
    visit(slave, scene)


def test_the_original_goes_back_where_the_tuned_file_rotted(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=False)
        rot(garage, "tuned", "calibration")
        for _ in range(2):
            error = await garage.refusal(recover(garage.box))
            assert (error.code, error.ecu) == ("TARGET_DAMAGED", EcuSafety.HALF_WRITTEN)
            assert "--original" in error.do_now
            assert garage.box.journal.job(garage.job).state is JobState.INTERRUPTED
        assert (await recover(garage.box, original=True))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)


@pytest.mark.parametrize("region", ["boot", "code"])
def test_the_original_goes_back_where_the_ecu_still_holds_what_the_disk_lost(
    slave: Readied, region: str
) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=True)
        rot(garage, "original", region)
        result = await recover(garage.box, original=True)
        assert (result["result"], result["verify"]["result"]) == ("restored", "pass")
        assert garage.untouched

    visit(slave, scene)


def test_what_the_ecu_holds_is_not_taken_for_what_was_lost_when_it_is_something_else(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=True)
        rot(garage, "original", "code")
        start = garage.definition.region("code").start
        garage.car.ecu.memory.force(start, bytes((garage.stock[start] ^ 1,)))
        memory = garage.car.ecu.memory.whole()
        error = await garage.refusal(recover(garage.box, original=True))
        assert error.code == "TARGET_DAMAGED"
        assert garage.car.ecu.memory.whole() == memory

    visit(slave, scene)


async def half_restored(garage: Garage, *, begun: Counter = Counter.PROGRAMMED, at: int = 20_000) -> bytes:
    """The tuned file was written, and its original on the way back when the supply was cut; the bootloader
    reads nothing. Gives the tuned memory.
    """
    recovery, reading = {"recoverability": "bootloader"}, {"bootloader_reads": False}
    garage.use(with_access(garage.definition, recovery=recovery, reading=reading))
    await write(garage.box, garage.job, garage.hand_in(garage.package()))
    tuned = garage.car.ecu.memory.whole()
    there = asyncio.get_running_loop().create_future()
    garage.car.ecu.core.watch.at(
        begun, garage.car.ecu.core.watch.totals[begun] + at, lambda address: there.set_result(None)
    )
    work = asyncio.ensure_future(restore(garage.box, garage.job))
    await there
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    garage.car.power_cut()
    garage.car.power_up()
    await asyncio.sleep(1)
    assert garage.car.ecu.program is Program.BOOTLOADER
    return tuned


@pytest.mark.parametrize("asked", [False, True])
def test_a_lost_block_that_the_write_left_alone_is_proven_through_the_application(
    slave: Readied, asked: bool
) -> None:
    async def scene(garage: Garage) -> None:
        await half_restored(garage)
        rot(garage, "original", "code")
        result = await recover(garage.box, original=asked)
        assert (result["result"], result["verify"]["result"]) == ("restored", "pass")
        assert result["verify"]["unproven"] == []
        assert garage.untouched
        assert garage.car.ecu.program is Program.APPLICATION

    visit(slave, scene)


def test_a_lost_block_that_is_not_as_it_was_sealed_is_never_called_restored(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_restored(garage)
        rot(garage, "original", "code")
        start = garage.definition.region("code").start
        garage.car.ecu.memory.force(start, bytes((garage.stock[start] ^ 1,)))
        for _ in range(2):
            error = await garage.refusal(recover(garage.box, garage.job))
            assert (error.code, error.ecu) == ("SOURCE_LOST", EcuSafety.HALF_WRITTEN)
            assert any("code 0x" in line for line in error.details)
            assert "do not start the engine" in error.do_now
            assert garage.box.journal.job(garage.job).state is JobState.NEEDS_BENCH

    visit(slave, scene)


def test_a_lost_block_in_flight_leaves_the_ecu_in_its_bootloader(slave: Readied) -> None:
    """The ECU calls its memory incomplete, and no other block is worn for that."""

    async def scene(garage: Garage) -> None:
        await half_restored(garage, at=100)
        rot(garage, "original", "calibration")
        (flash,) = garage.box.journal.open_flashes()
        erased = len(history.begun(garage.box.journal.steps(flash.id)))
        error = await garage.refusal(recover(garage.box))
        assert (error.code, error.ecu) == ("SOURCE_LOST", EcuSafety.HALF_WRITTEN)
        assert len(history.begun(garage.box.journal.steps(flash.id))) == erased
        await asyncio.sleep(1)
        assert garage.car.ecu.program is Program.BOOTLOADER

    visit(slave, scene)


def test_a_source_that_is_whole_nowhere_is_an_end_and_is_told_as_one(slave: Readied) -> None:
    """Both verbs say the same; the second copy of the disk still helps, and else a person's word ends it."""

    async def scene(garage: Garage) -> None:
        await half_restored(garage, at=100)
        folder = garage.box.settings.state_dir / "blobs"
        second = {path: path.read_bytes() for path in folder.rglob("*.age")}
        rot(garage, "original", "calibration")
        for original in (False, True):
            error = await garage.refusal(recover(garage.box, garage.job, original))
            assert (error.code, error.ecu) == ("SOURCE_LOST", EcuSafety.HALF_WRITTEN)
            assert f"0x{garage.definition.region('calibration').start:08X}" in error.details[0]
            assert f"pitbox settle --job {garage.job}" in error.do_now
            assert "--original" not in error.do_now
            assert garage.box.journal.job(garage.job).state is JobState.NEEDS_BENCH
        for path, data in second.items():
            path.write_bytes(data)
        assert (await recover(garage.box, garage.job))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)


def test_an_original_that_rotted_before_it_was_begun_leaves_no_open_write(
    slave: Readied, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(garage: Garage) -> None:
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        tuned = garage.car.ecu.memory.whole()
        await never_begun(garage, monkeypatch, lambda: restore(garage.box, garage.job))
        rot(garage, "original", "calibration")
        error = await garage.refusal(recover(garage.box))
        assert error.code == "TARGET_DAMAGED"
        assert "the write is closed" in error.do_now
        assert garage.box.journal.open_flashes() == []
        assert garage.car.ecu.memory.whole() == tuned

    visit(slave, scene)


def test_an_ecu_that_does_not_judge_itself_is_not_started_with_a_block_in_flight(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_restored(garage, at=100)
        rot(garage, "original", "calibration")
        garage.use(with_access(garage.definition, checking={"dependencies_routine": None}))
        error = await garage.refusal(recover(garage.box))
        assert error.code == "SOURCE_LOST"
        flash = garage.box.journal.last_flash(garage.job)
        assert flash is not None
        assert Step.COMMITTED not in {step.step for step in garage.box.journal.steps(flash.id)}

    visit(slave, scene)


def test_the_original_goes_back_over_a_tuned_file_that_rotted_where_the_disk_lost_an_untouched_block(
    slave: Readied,
) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=False)
        rot(garage, "tuned", "calibration")
        rot(garage, "original", "code")
        error = await garage.refusal(recover(garage.box))
        assert (error.code, error.ecu) == ("TARGET_DAMAGED", EcuSafety.HALF_WRITTEN)
        result = await recover(garage.box, original=True)
        assert (result["result"], result["verify"]["result"]) == ("restored", "pass")
        assert garage.untouched

    visit(slave, scene)


def test_an_open_write_is_not_turned_from_a_whole_tuned_file_to_a_damaged_original(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=False)
        rot(garage, "original", "code")
        error = await garage.refusal(recover(garage.box, original=True))
        assert error.code == "TARGET_DAMAGED"
        assert "finish the tuned file" in error.do_now
        assert (await recover(garage.box))["result"] == "done"

    visit(slave, scene)


def lose_record(garage: Garage, which: str) -> None:
    """The file that says what a sealed image is made of."""
    (flash,) = garage.box.journal.open_flashes()
    order = WriteOrder.from_json(flash.write_order)
    file_id = order.original_file if which == "original" else order.tuned_file
    (record,) = garage.box.settings.state_dir.glob(f"images/{file_id}.json")
    record.write_bytes(record.read_bytes()[:-40])


def test_a_lost_record_of_the_original_does_not_keep_the_tuned_file_back(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=False)
        lose_record(garage, "original")
        error = await garage.refusal(recover(garage.box, original=True))
        assert (error.code, error.ecu) == ("VAULT_IMAGE_DAMAGED", EcuSafety.HALF_WRITTEN)
        assert f"Finish the tuned file instead: `pitbox recover --job {garage.job}`" in error.do_now
        result = await recover(garage.box)
        assert (result["result"], result["verify"]["result"]) == ("done", "partial")
        assert garage.car.ecu.memory.whole() == garage.whole(tuned)

    tuned = _tuned(slave)
    visit(slave, scene)


def test_a_lost_record_of_the_tuned_file_does_not_keep_the_original_back(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=False)
        lose_record(garage, "tuned")
        memory = garage.car.ecu.memory.whole()
        error = await garage.refusal(recover(garage.box))
        assert (error.code, error.ecu) == ("TARGET_DAMAGED", EcuSafety.HALF_WRITTEN)
        assert garage.car.ecu.memory.whole() == memory
        assert (await recover(garage.box, original=True))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)


def _tuned(slave: Readied) -> bytes:
    """The calibration that every package of this garage holds."""

    async def scene(garage: Garage) -> bytes:
        return garage.calibration()

    return visit(slave, scene)


def test_a_lost_record_is_told_whatever_a_later_build_makes_of_the_definition(
    slave: Readied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key more in the definition's schema changes the digest that a build computes, not the one pinned."""

    async def scene(garage: Garage) -> None:
        garage.use(recoverable(garage.definition))
        garage.box.pinned.pin(garage.definition)
        with monkeypatch.context() as patch:
            patch.setattr(Definition, "digest", lambda _: "ab" * 32)
            await interrupted_write(garage)
        lose_record(garage, "tuned")
        assert (await garage.refusal(recover(garage.box))).code == "TARGET_DAMAGED"
        assert (await recover(garage.box, original=True))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)


def test_an_original_goes_back_by_a_definition_that_has_got_another_region(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        last = garage.definition.regions[-1]
        more = last.model_copy(update={"name": "data", "tag": "data", "start": 0x10_0000, "block_id": None})
        definition = with_regions(garage.definition, (*garage.definition.regions, more))
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        garage.box.library = Library()
        garage.box.library.add(definition, PACKS / f"{definition.id}.toml")
        job = await reopen(garage.box, definition.id)
        assert (await recover(garage.box, job))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)


async def never_begun(
    garage: Garage, patch: pytest.MonkeyPatch, begin: Callable[[], Awaitable[object]] | None = None
) -> None:
    """The box stopped between the intent of its write, or of what is begun, and the first erase."""

    def full(journal: Journal, *_: object) -> None:
        raise StorageError(journal.path, "database or disk is full")

    patch.setattr(Journal, "next_block", full)
    if begin is None:
        error = await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package())))
        assert error.ecu is EcuSafety.UNTOUCHED
    else:
        await garage.refusal(begin())
    patch.undo()


def test_a_write_that_erased_nothing_is_closed_where_its_file_rotted(
    slave: Readied, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(garage: Garage) -> None:
        await never_begun(garage, monkeypatch)
        rot(garage, "tuned", "calibration")
        error = await garage.refusal(recover(garage.box))
        assert (error.code, error.ecu) == ("TARGET_DAMAGED", EcuSafety.UNTOUCHED)
        assert "Nothing was erased" in error.do_now
        assert garage.untouched
        assert garage.box.journal.open_flashes() == []
        result = await write(garage.box, garage.job, garage.hand_in(garage.package()))
        assert result["result"] == "done"

    visit(slave, scene)


def test_a_write_that_erased_nothing_is_not_turned_to_an_original_that_rotted(
    slave: Readied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the disk lost the application still tells: the original is whole again, and nothing is written."""

    async def scene(garage: Garage) -> None:
        await never_begun(garage, monkeypatch)
        rot(garage, "tuned", "calibration")
        rot(garage, "original", "calibration")
        assert (await recover(garage.box, original=True))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)
