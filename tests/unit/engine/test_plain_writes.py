"""A plain file on a master-role box: it says what it was made from, or shows it, or is refused."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import pytest

from appliance.contract.events import GatesEvent
from appliance.contract.places import FLASH
from appliance.engine.operations.write import write
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.own_checksums import own_checksums
from tests.support.garage import Garage, Readied, visit
from tests.support.places import flash

REGION_BYTES = 0x1_0000


def stated(garage: Garage, kind: str | None) -> MasterWish:
    original = garage.box.journal.job(garage.job).original_file
    read = hashlib.sha256(garage.stock).hexdigest()
    named = {"id": original, "hash": read, "another id": "0" * 32, "another hash": "0" * 64, None: None}
    return MasterWish(made_from=named[kind])


def refused_gates(master: Readied, data: Callable[[Garage], bytes], made_from: str | None) -> list[str]:
    """Names of the gates that refuse the file; the ECU must be as before."""

    async def attempt(garage: Garage) -> list[str]:
        upload = garage.hand_in(data(garage))
        error = await garage.refusal(write(garage.box, garage.job, upload, stated(garage, made_from)))
        assert error.code == "GATES_REFUSED"
        assert garage.untouched
        return [line.split(":")[0] for line in error.details]

    return visit(master, attempt)


def noise(garage: Garage) -> bytes:
    return random.Random(4).randbytes(REGION_BYTES)


def jpeg(garage: Garage) -> bytes:
    return b"\xff\xd8\xff\xe0" + noise(garage)[4:]


def right_jpeg(garage: Garage) -> bytes:
    """With its checksum right, as `--correct-checksums` makes it."""
    module = own_checksums(garage.definition)[0].module
    return module.correct(jpeg(garage))


@pytest.mark.parametrize("made_from", ["id", "hash", None])
@pytest.mark.parametrize("whole", [False, True])
def test_a_tune_is_written(master: Readied, made_from: str | None, whole: bool) -> None:
    async def attempt(garage: Garage) -> None:
        tuned = garage.calibration()
        upload = garage.hand_in(garage.whole(tuned) if whole else tuned)
        assert (await write(garage.box, garage.job, upload, stated(garage, made_from)))["result"] == "done"
        assert garage.car.ecu.memory.whole() == garage.whole(tuned)
        (shown,) = (event for event in garage.events if isinstance(event, GatesEvent))
        by_region = {change.region: change for change in shown.changes}
        assert by_region["calibration"].changed_bytes == 16 + 4
        assert by_region["calibration"].ranges[0] == flash(0x3_0100, 0x10)
        noted = garage.box.journal.job(garage.job).detail["changes"]
        assert [one["region"] for one in noted] == list(by_region)

    visit(master, attempt)


@pytest.mark.parametrize("made_from", ["another id", "another hash"])
def test_a_tune_of_another_read_is_refused(master: Readied, made_from: str) -> None:
    assert refused_gates(master, lambda garage: garage.calibration(), made_from) == ["base_read"]


@pytest.mark.parametrize("data", [noise, jpeg, right_jpeg])
def test_a_file_that_says_nothing_and_shows_nothing_is_refused(
    master: Readied, data: Callable[[Garage], bytes]
) -> None:
    assert {"base_read", "plausibility"} <= set(refused_gates(master, data, None))


def test_whoever_names_the_read_still_writes_no_picture(master: Readied) -> None:
    assert refused_gates(master, right_jpeg, "id") == ["plausibility"]


def test_a_picture_among_the_right_regions_is_no_tune(master: Readied) -> None:
    """Boot and code are this car's own, and the file still holds no calibration."""
    whole = refused_gates(master, lambda garage: garage.whole(right_jpeg(garage)), None)
    assert whole == ["plausibility"]


def test_a_package_is_not_told_what_it_was_made_from(master: Readied) -> None:
    async def attempt(garage: Garage) -> str:
        upload = garage.hand_in(garage.package())
        return (await garage.refusal(write(garage.box, garage.job, upload, stated(garage, "id")))).code

    assert visit(master, attempt) == "OPTION_UNUSED"


def test_a_package_must_be_plausible_too(master: Readied) -> None:
    def picture(garage: Garage) -> bytes:
        return garage.package(contents={(FLASH, 0x3_0000): right_jpeg(garage)})

    refused = refused_gates(master, picture, None)
    assert refused == ["plausibility"]


def test_a_package_for_another_definition_is_refused_by_name(master: Readied) -> None:
    assert "definition" in refused_gates(master, lambda garage: garage.package(definition="pbx-e400"), None)
