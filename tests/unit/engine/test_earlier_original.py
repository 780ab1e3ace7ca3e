"""A job whose ECU this box had tuned before: what it reads is no original, and is never called one."""

from __future__ import annotations

from appliance.cli.confirming import summary_lines
from appliance.cli.verbs.reading import read_lines
from appliance.cli.verbs.writing import result_lines
from appliance.contract.operations import OfRecovery, OfRestore
from appliance.engine.operations.preview import preview_recover, preview_restore
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import restore, write
from appliance.engine.originals import known_originals
from tests.support.garage import Garage, Readied, visit


async def read_again(garage: Garage) -> str:
    """The car is back: somebody begins another job."""
    return str((await identify(garage.box))["job"])


def test_a_read_of_a_tuned_ecu_is_not_put_back_as_its_original(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        box, first = garage.box, garage.job
        original = box.journal.job(first).original_file
        done = await write(box, first, garage.hand_in(garage.package()))
        assert (done["result"], done["earlier"]) == ("done", None)
        later = await read_again(garage)
        told = await read(box, later)
        assert told["earlier"] == {"file": original, "job": first}
        assert f"`pitbox restore --job {first}`" in "\n".join(read_lines(told))
        shown = await preview_restore(box, OfRestore(job=later))
        assert shown["earlier"] == {"file": original, "job": first}
        assert "Not the ECU's original" in "\n".join(summary_lines(shown))
        rescue = OfRecovery(definition=garage.definition.id, file=told["file"])
        assert (await preview_recover(box, rescue))["earlier"] == {"file": original, "job": first}
        back = await restore(box, later)
        lines = "\n".join(result_lines(back))
        assert "Not the ECU's original" in lines and "its own original again" not in lines
        assert not garage.untouched
        third = await read(box, await read_again(garage))
        assert third["earlier"] == {"file": original, "job": first}, "put back was the tune"
        assert {one["file"]: one["earlier"] for one in known_originals(box)} == {
            original: None, told["file"]: original, third["file"]: original,
        }  # fmt: skip
        assert (await restore(box, first))["earlier"] is None
        assert garage.untouched
        assert (await read(box, await read_again(garage)))["earlier"] is None

    visit(slave, scene)


def test_a_read_after_the_original_went_back_is_one(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        box = garage.box
        assert (await read(box, await read_again(garage)))["earlier"] is None, "nothing was written yet"
        await write(box, garage.job, garage.hand_in(garage.package()))
        await restore(box, garage.job)
        later = await read_again(garage)
        assert (await read(box, later))["earlier"] is None
        assert (await restore(box, later))["earlier"] is None

    visit(slave, scene)


def test_another_ecu_of_the_same_kind_has_an_original_of_its_own(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        told = garage.car.ecu.core
        other = {"serial": "SIM0OTHER", "vin": "PBXOTHERCAR00X050"}
        twin = garage.definition.twin.model_copy(update=other)
        told.definition = garage.definition.model_copy(update={"simulation": twin})
        job = await read_again(garage)
        assert garage.box.journal.job(job).identity != garage.box.journal.job(garage.job).identity
        assert (await read(garage.box, job))["earlier"] is None

    visit(slave, scene)
