"""What a job keeps over reads, writes, crashes and restarts of its box."""

from __future__ import annotations

import asyncio

import pytest

from appliance.contract.events import Event, Phase, ProgressEvent
from appliance.contract.jobs import JobState
from appliance.engine.operations import read as reading
from appliance.engine.operations.check import verify
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.restore_without_journal import reopen
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.plaintext import Opened
from appliance.engine.report import report_of
from appliance.flashing.image import MemoryImage
from simulator.ecu.watch import Counter
from tests.support.definitions import uds_access, with_access
from tests.support.garage import Garage, Readied, open_garage, visit


async def stopped_at(garage: Garage, counter: Counter, at: int, work: asyncio.Task[object]) -> None:
    """Cancel the work once so many bytes were read or programmed."""
    reached = asyncio.get_running_loop().create_future()
    totals = garage.car.ecu.core.watch.totals
    garage.car.ecu.core.watch.at(counter, totals[counter] + at, lambda address: reached.set_result(None))
    await reached
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def test_a_later_read_never_replaces_the_original(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        original = garage.box.journal.job(garage.job).original_file
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        again = await read(garage.box, garage.job)
        assert garage.box.journal.job(garage.job).original_file == original
        assert again["file"] != original
        assert again["reads"][0]["sha256"] != (await _sha256(garage, original))
        assert (await restore(garage.box, garage.job))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)


async def _sha256(garage: Garage, file_id: str | None) -> str:
    return str((await _verified(garage, file_id))["sha256"])


async def _verified(garage: Garage, file_id: str | None) -> dict[str, object]:
    """Back to the original first, so that it is what the memory holds."""
    memory = garage.car.ecu.memory.whole()
    garage.car.ecu.memory.force(0, garage.stock)
    result = await verify(garage.box, garage.job, file_id)
    garage.car.ecu.memory.force(0, memory)
    return result


def test_reading_again_asks_the_ecu_again(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        before = garage.car.ecu.core.watch.totals[Counter.READ]
        await read(garage.box, garage.job)
        assert garage.car.ecu.core.watch.totals[Counter.READ] - before >= 2 * len(garage.stock)

    visit(slave, scene)


def test_a_read_that_was_interrupted_twice_is_told_twice_and_finished_once(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        box = garage.box
        job = str((await identify(box))["job"])
        for at in (50_000, 230_000):
            await stopped_at(garage, Counter.READ, at, asyncio.ensure_future(read(box, job)))
            assert box.journal.job(job).state is JobState.READING
            box.journal.close()
            box = open_garage(slave, garage.car).box
        told = report_of(box.journal, job, garage.definition)["interruptions"]
        assert [one["resumed"] for one in told] == [False, False]
        assert told[0]["at_byte"] < told[1]["at_byte"] or told[0]["phase"] < told[1]["phase"]
        await read(box, job)
        assert [one["resumed"] for one in report_of(box.journal, job, None)["interruptions"]] == [True, True]
        box.journal.close()

    visit(slave, scene)


def test_a_box_that_died_while_checking_its_gates_goes_back_to_where_it_was(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        garage.box.journal.move(garage.job, JobState.PREFLIGHT)
        garage.box.journal.close()
        reborn = open_garage(slave, garage.car)
        assert reborn.box.journal.job(garage.job).state is JobState.READ_VERIFIED
        assert (await read(reborn.box, garage.job))["full"]
        reborn.box.journal.close()

    visit(slave, scene)


def test_the_original_can_go_back_while_a_second_read_is_unfinished(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        work = asyncio.ensure_future(read(garage.box, garage.job))
        await stopped_at(garage, Counter.READ, 50_000, work)
        assert (await restore(garage.box, garage.job))["result"] == "restored"

    visit(slave, scene)


def _compares(event: Event) -> bool:
    return isinstance(event, ProgressEvent) and event.phase is Phase.COMPARE


def test_cancelling_before_the_first_erase_leaves_nothing_open(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        upload = garage.hand_in(garage.package())
        work = asyncio.ensure_future(write(garage.box, garage.job, upload))
        async with asyncio.timeout(60):
            while not any(_compares(event) for event in garage.events):  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.001)
        assert garage.box.journal.job(garage.job).state is JobState.FLASHING
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert work.cancelled()
        assert garage.untouched
        assert garage.box.journal.open_flashes() == []
        assert garage.box.journal.job(garage.job).state is JobState.READ_VERIFIED

    visit(slave, scene)


def test_what_an_earlier_write_did_is_not_told_of_the_one_that_failed(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        garage.car.battery.set_level(10.0)
        await garage.refusal(restore(garage.box, garage.job))
        report = report_of(garage.box.journal, garage.job, garage.definition)
        assert (report["blocks"], report["verify"]) == (None, None)
        assert {gate["name"] for gate in report["gates"] if gate["verdict"] == "fail"} == {"voltage_window"}

    visit(slave, scene)


def test_plaintext_is_overwritten_after_every_operation(
    slave: Readied, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[MemoryImage] = []
    keep, wipe = Opened.keep, reading.wipe_image

    def spy(scope: Opened, image: MemoryImage) -> MemoryImage:
        opened.append(image)
        return keep(scope, image)

    def spy_on_read(image: MemoryImage) -> None:
        assert any(any(data) for data in image.spans.values())
        opened.append(image)
        wipe(image)

    async def scene(garage: Garage) -> None:
        package = garage.package()
        monkeypatch.setattr(Opened, "keep", spy)
        monkeypatch.setattr(reading, "wipe_image", spy_on_read)
        await read(garage.box, garage.job)
        await write(garage.box, garage.job, garage.hand_in(package))
        await verify(garage.box, garage.job)
        await restore(garage.box, garage.job)

    visit(slave, scene)
    assert len(opened) >= 6
    for image in opened:
        assert not any(any(data) for data in image.spans.values())


def test_a_sealed_original_goes_back_without_a_journal_even_to_a_half_written_ecu(slave: Readied) -> None:
    """One that was sealed before a keyed hash of the serial number was kept needs a person's word."""

    async def scene(garage: Garage) -> None:
        recoverable = with_access(garage.definition, recovery={"recoverability": "bootloader"})
        garage.use(recoverable)
        work = asyncio.ensure_future(write(garage.box, garage.job, garage.hand_in(garage.package())))
        await stopped_at(garage, Counter.PROGRAMMED, 20_000, work)
        assert not garage.untouched
        sealed = garage.box.images.load(garage.box.journal.job(garage.job).original_file or "")
        garage.box.images.save(sealed.model_copy(update={"serial_hmac": None}))
        garage.box.journal.close()
        for path in (*slave.state.glob("journal.db*"), *slave.state.glob("writes.*")):
            path.unlink()
        reborn = open_garage(slave, garage.car)
        reborn.use(recoverable)
        assert reborn.box.journal.jobs() == []
        assert (await reborn.refusal(identify(reborn.box))).code == "ECU_IN_BOOTLOADER"
        vin = garage.definition.simulation.vin
        for car, code in ((None, "CAR_UNCONFIRMED"), ("WVWZZZ1KZAW000001", "CAR_MISNAMED")):
            refused = await reborn.refusal(reopen(reborn.box, garage.definition.id, car=car))
            assert refused.code == code
            assert reborn.box.journal.jobs() == []
        job = await reopen(reborn.box, garage.definition.id, car=vin)
        result = await recover(reborn.box, job)
        assert result["result"] == "restored"
        assert result["identity_after"]["known_by"] == "serial"
        assert garage.untouched
        reborn.box.journal.close()

    visit(slave, scene)


def test_a_rescue_whose_journal_is_lost_again_stays_a_rescue(slave: Readied) -> None:
    """Its original was read by another job: once the rescue is over, it still goes back with `restore`."""

    async def scene(garage: Garage) -> None:
        job = await reopen(garage.box, garage.definition.id)
        garage.box.journal.close()
        for path in slave.state.glob("journal.db*"):
            path.unlink()
        reborn = open_garage(slave, garage.car)
        assert (await recover(reborn.box, job))["result"] == "restored"
        assert (await restore(reborn.box, job))["result"] == "restored"
        assert garage.untouched
        reborn.box.journal.close()

    visit(slave, scene)


def test_an_ecu_that_was_never_told_of_a_blocks_end_is_rescued_without_a_journal(slave: Readied) -> None:
    """A cut between a block's last 36 and its 37: every byte is there, and the ECU does not believe it."""

    async def scene(garage: Garage) -> None:
        garage.use(with_access(garage.definition, recovery={"recoverability": "bootloader"}))
        second = garage.definition.region("calibration").sector_ranges()[1]
        with garage.car.ecu.core.nvm.update() as records:
            records.unfinished = [[second.start, second.end]]
            records.application_valid = False
        garage.car.power_cut()
        garage.car.power_up()
        await asyncio.sleep(1)
        assert (await garage.refusal(identify(garage.box))).code == "ECU_IN_BOOTLOADER"
        erased = garage.car.ecu.core.watch.totals[Counter.ERASED]
        job = await reopen(garage.box, garage.definition.id)
        assert (await recover(garage.box, job))["result"] == "restored"
        assert garage.untouched
        assert garage.car.ecu.records.application_valid
        assert garage.car.ecu.core.watch.totals[Counter.ERASED] - erased <= len(garage.stock)

    visit(slave, scene)


def test_a_rescue_without_a_journal_names_the_bench_to_which_a_silent_ecu_may_be_lost(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        garage.car.power_cut()
        error = await garage.refusal(reopen(garage.box, garage.definition.id))
        assert error.code == "ECU_SILENT"
        assert error.do_now.startswith("Ignition on? Plug seated?")
        assert uds_access(garage.definition).recovery.advice in error.do_now
        assert len(garage.box.journal.jobs()) == 1

    visit(slave, scene)


def test_a_sealed_original_never_goes_to_another_ecu(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        ecu = garage.car.ecu
        other = ecu.definition.simulation.model_copy(update={"hw": "PBX-X050-99"})
        ecu.core.definition = ecu.definition.model_copy(update={"simulation": other})
        error = await garage.refusal(reopen(garage.box, "pbx-x050"))
        assert error.code == "ECU_CHANGED"
        assert len(garage.box.journal.jobs()) == 1
        assert garage.untouched

    visit(slave, scene)


def test_which_original_goes_back_is_never_guessed(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        second = str((await identify(garage.box))["job"])
        await read(garage.box, second)
        error = await garage.refusal(reopen(garage.box, "pbx-x050"))
        assert error.code == "ORIGINAL_AMBIGUOUS"
        assert len(error.details) == 2
        assert (await garage.refusal(reopen(garage.box, "pbx-t300"))).code == "NO_ORIGINAL"

    visit(slave, scene)
