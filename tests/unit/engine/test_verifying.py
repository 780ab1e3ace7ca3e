"""What a comparison that fails says: which memory was meant, and the way on that really is one."""

from __future__ import annotations

import pytest

from appliance.contract.errors import EcuSafety
from appliance.engine.operations.check import verify
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import restore, write
from tests.support.garage import Garage, Readied, visit
from tests.unit.engine.test_damaged_sources import half_written


def spoil(garage: Garage) -> None:
    """Another tool has written a byte of the calibration."""
    start = garage.definition.region("calibration").start
    now = garage.car.ecu.memory.read(start, 1)
    garage.car.ecu.memory.force(start, bytes((now[0] ^ 1,)))


def test_another_file_than_what_was_written_is_no_alarm(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        original = garage.box.journal.job(garage.job).original_file
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        error = await garage.refusal(verify(garage.box, garage.job, original))
        assert (error.code, error.ecu) == ("FILE_DIFFERS", EcuSafety.INTACT)
        assert (await verify(garage.box, garage.job))["blocks"] > 0, "which is what the error tells to do"

    visit(slave, scene)


@pytest.mark.parametrize("named", [True, False])
def test_memory_that_is_not_what_was_proven_is_an_alarm_however_it_is_asked(
    slave: Readied, named: bool
) -> None:
    async def scene(garage: Garage) -> None:
        original = garage.box.journal.job(garage.job).original_file
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        await restore(garage.box, garage.job)
        spoil(garage)
        error = await garage.refusal(verify(garage.box, garage.job, original if named else None))
        assert (error.code, error.ecu) == ("VERIFY_FAILED", EcuSafety.UNKNOWN)
        assert "recover" not in error.do_now, "no write is open that could be recovered"
        assert f"`pitbox restore --job {garage.job}`" in error.do_now
        assert (await restore(garage.box, garage.job))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)


def test_a_write_that_was_abandoned_does_not_change_what_the_ecu_should_hold(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        tuned = garage.car.ecu.memory.whole()
        boot = garage.definition.region("boot").start
        garage.car.ecu.memory.force(boot, bytes((garage.stock[boot] ^ 1,)))
        error = await garage.refusal(restore(garage.box, garage.job))
        assert error.code == "VERIFY_FAILED"
        assert garage.box.journal.flashes(garage.job)[0].outcome == "abandoned, nothing erased"
        garage.car.ecu.memory.force(boot, garage.stock[boot : boot + 1])
        assert garage.car.ecu.memory.whole() == tuned
        assert (await verify(garage.box, garage.job))["blocks"] > 0

    visit(slave, scene)


def test_an_ecu_in_its_bootloader_is_sent_to_recovery_not_to_another_definition(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=True)
        error = await garage.refusal(verify(garage.box, garage.job))
        assert (error.code, error.ecu) == ("ECU_IN_BOOTLOADER", EcuSafety.HALF_WRITTEN)
        assert f"`pitbox recover --job {garage.job}`" in error.do_now

    visit(slave, scene)


def test_an_ecu_written_by_another_tool_can_be_read_anew_as_the_error_says(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        spoil(garage)
        error = await garage.refusal(verify(garage.box, garage.job))
        assert "`pitbox identify` and then `pitbox read`" in error.do_now
        job = str((await identify(garage.box))["job"])
        await read(garage.box, job)
        assert (await verify(garage.box, job))["blocks"] > 0

    visit(slave, scene)
