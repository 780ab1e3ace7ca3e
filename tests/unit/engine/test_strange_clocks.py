"""A box whose clock begins in 1970 without its battery, or tells any other year, does whole jobs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliance.engine.operations.restore_without_journal import reopen
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.report import report_of
from appliance.vault.keys import Role
from tests.support.garage import Garage, ready, visit

YEARS = {"1970": 5.0, "2099": 4_070_908_800.0, "far_future": 253_402_300_799.0}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("year", YEARS)
def test_a_whole_job_is_done_whatever_year_the_clock_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, year: str, role: Role
) -> None:
    """Read, written, put back; the slave's package has its times by a clock that is right."""
    began, real = YEARS[year], time.monotonic()
    monkeypatch.setattr(time, "time", lambda: began + time.monotonic() - real)
    readied = ready(tmp_path / "state", role)

    async def scene(garage: Garage) -> None:
        data = garage.whole(garage.calibration()) if role is Role.MASTER else garage.package()
        assert (await write(garage.box, garage.job, garage.hand_in(data)))["result"] == "done"
        assert (await restore(garage.box, garage.job))["result"] == "restored"
        assert garage.untouched
        job = await reopen(garage.box, garage.definition.id)
        assert (await recover(garage.box, job))["result"] == "restored"
        told = report_of(garage.box.journal, garage.job, garage.definition)
        assert told["result"] == "restored"
        assert [one.id for one in garage.box.journal.jobs()] == [job, garage.job]

    visit(readied, scene)
    monkeypatch.setattr(time, "time", lambda: YEARS["1970"])
    visit(readied, _look)


async def _look(garage: Garage) -> None:
    """A clock that jumped back: the next life finds all of it."""
    assert len(garage.box.journal.jobs()) == 2
    assert garage.box.journal.open_flashes() == []
    assert not garage.box.journal.differences
