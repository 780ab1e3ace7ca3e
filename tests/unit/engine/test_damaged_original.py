"""A whole ECU whose sealed original rotted: what is damaged is named, and a way that is one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import EcuSafety
from appliance.contract.operations import OfRestore
from appliance.contract.preview import Preview
from appliance.engine.context import EngineContext
from appliance.engine.operations.preview import preview_restore
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import restore, write
from tests.support.garage import Garage, Readied, visit

Work = Callable[[EngineContext, str], Coroutine[Any, Any, dict[str, Any]]]


def rot(garage: Garage, region: str) -> str:
    """The sealed segment that holds the start of a region lost its last byte; its range in words."""
    record = garage.box.images.load(garage.box.journal.job(garage.job).original_file or "")
    start = garage.definition.region(region).start
    (segment,) = [one for one in record.segments if one.place.start == start]
    path: Path = garage.box.blobs.path(segment.ct_sha256)
    path.write_bytes(path.read_bytes()[:-1])
    return str(segment.place)


async def preview(box: EngineContext, job: str) -> Preview:
    return await preview_restore(box, OfRestore(job=job))


@pytest.mark.parametrize("work", [restore, preview])
def test_it_is_named_and_can_be_read_anew(slave: Readied, work: Work) -> None:
    async def scene(garage: Garage) -> None:
        where = rot(garage, "code")
        error = await garage.refusal(work(garage.box, garage.job))
        assert (error.code, error.ecu) == ("VAULT_ORIGINAL_DAMAGED", EcuSafety.UNTOUCHED)
        assert [detail.partition(": ")[0] for detail in error.details] == [where]
        assert "`pitbox identify`, then `pitbox read`" in error.do_now
        job = str((await identify(garage.box))["job"])
        await read(garage.box, job)
        assert (await restore(garage.box, job))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)


def test_a_tuned_ecu_is_not_taken_for_it(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        rot(garage, "calibration")
        error = await garage.refusal(restore(garage.box, garage.job))
        assert (error.code, error.ecu) == ("VAULT_ORIGINAL_DAMAGED", EcuSafety.INTACT)
        assert error.do_now.startswith(f"Bring back a second copy of {garage.box.settings.state_dir}")
        assert "`pitbox write COPY`" in error.do_now

    visit(slave, scene)


def test_a_lost_record_sends_nobody_to_a_service_that_does_not_exist(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        file_id = garage.box.journal.job(garage.job).original_file
        (garage.box.settings.state_dir / f"images/{file_id}.json").unlink()
        error = await garage.refusal(restore(garage.box, garage.job))
        assert error.code == "VAULT_IMAGE_MISSING"
        assert "`pitbox identify`, then `pitbox read`" in error.do_now

    visit(slave, scene)
