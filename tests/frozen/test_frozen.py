"""Every build recovers and restores from what every released build left on its disk."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.places import Range
from appliance.contract.preview import FORM
from appliance.engine.context import EngineContext
from appliance.engine.operations.write import recover, restore
from appliance.engine.originals import known_originals
from appliance.engine.report import report_of
from appliance.flashing import marks, tables
from appliance.flashing.database import JournalDamagedError
from appliance.flashing.journal import Journal, Step
from appliance.vault import images
from appliance.vault import key_files as keyring
from simulator.car import Car
from tests.frozen.thaw import FORMATS, FROZEN, HERE, Thawed, live, thaw

HALF_WRITTEN = tuple(name for name in FROZEN if "half_written" in name)
WHOLE = tuple(name for name in FROZEN if name.endswith(("read_verified", "done")))
NEWEST = tuple(name for name in FROZEN if name.startswith(f"{FORMATS[-1]}/"))
PROPOSED = tuple(name for name in FROZEN if name.endswith("read_verified") and int(name[1]) >= 5)
BENCHED = tuple(name for name in FROZEN if name.endswith("needs_bench"))


@pytest.fixture
def frozen(request: pytest.FixtureRequest, tmp_path: Path) -> Thawed:
    return thaw(request.param, tmp_path / "thawed")


def test_a_half_written_ecu_is_frozen_for_every_format() -> None:
    assert {name.split("/")[0] for name in HALF_WRITTEN} == {name.split("/")[0] for name in FROZEN}


def test_the_newest_frozen_disks_are_of_the_versions_of_today() -> None:
    """Who raises one of them freezes what a box leaves from now on (`generate.py`)."""
    states = [HERE / name / "state" for name in NEWEST]
    for state in states:
        sql = sqlite3.connect(f"file:{state / 'journal.db'}?mode=ro&immutable=1", uri=True)
        assert sql.execute("PRAGMA user_version").fetchone() == (tables.VERSION,)
        sql.close()
    assert versions(states, "writes.[12]", "writes") == {marks.VERSION}
    assert versions(states, "images/*.json", "image") == {images.VERSION}


def versions(states: list[Path], pattern: str, name: str) -> set[Any]:
    """Of the sealed records under that name."""
    found = [json.loads(path.read_bytes())[name]["v"] for state in states for path in state.glob(pattern)]
    return set(found)


@pytest.mark.parametrize("frozen", FROZEN, indirect=True)
def test_what_was_known_is_known(frozen: Thawed) -> None:
    async def look(box: EngineContext, car: Car) -> None:
        job = box.journal.job(frozen.job)
        assert [one["file"] for one in known_originals(box)] == [job.original_file]
        assert box.definition(job.definition_id or "", job.definition_sha256) == frozen.definition
        assert report_of(box.journal, job.id, frozen.definition)["job"] == frozen.job
        proposed = box.journal.proposals.all()
        assert len(proposed) == (frozen.source in PROPOSED)
        for one in proposed:
            assert (one["by"], len(one["consents"]), one["waits_for"]) == ("Kim", 1, [])
            shown = one["preview"]
            assert shown is not None and shown["form"] == (1 if frozen.source.startswith("v5/") else FORM)
            waiting = "ready" if shown["form"] == FORM else "stale"
            assert one["state"] == ("expired" if box.now() >= one["expires_at"] else waiting)
            assert [Range(**region["place"]) for region in shown["regions"]] == [
                region.place for region in frozen.definition.regions if region.writable
            ]

    live(frozen, look)


@pytest.mark.parametrize("frozen", [one for one in WHOLE if "read" in one], indirect=True)
def test_what_was_read_is_of_the_memory_that_there_was(frozen: Thawed) -> None:
    async def look(box: EngineContext, car: Car) -> None:
        wanted = {region.place.at for region in frozen.definition.regions}
        for number in (1, 2):
            assert set(box.journal.chunks(frozen.job, number)) == wanted

    live(frozen, look)


@pytest.mark.parametrize("frozen", [one for one in HALF_WRITTEN if one[:3] != "v1/"], indirect=True)
@pytest.mark.parametrize(
    "change",
    ["UPDATE flash_step SET block_start=0 WHERE block_start IS NOT NULL", "UPDATE job SET definition_id=''"],
)
def test_a_row_that_was_changed_is_not_made_genuine_by_a_migration(frozen: Thawed, change: str) -> None:
    sql = sqlite3.connect(frozen.journal)
    assert sql.execute(change).rowcount
    sql.commit()
    sql.close()
    with pytest.raises(JournalDamagedError):
        Journal(frozen.journal, lambda: 0.0, keyring.load(frozen.state / "keys").record_mac)


@pytest.mark.parametrize("frozen", HALF_WRITTEN, indirect=True)
@pytest.mark.parametrize("original", [False, True])
def test_a_half_written_ecu_is_told_and_finished(frozen: Thawed, original: bool) -> None:
    back = original or "restoring" in frozen.source

    async def finish(box: EngineContext, car: Car) -> None:
        (flash,) = box.journal.open_flashes()
        assert flash.job_id == frozen.job
        assert box.journal.job(frozen.job).state is JobState.INTERRUPTED
        result = await recover(box, frozen.job, original)
        assert result["result"] == ("restored" if back else "done")
        assert box.journal.open_flashes() == []

    assert frozen.memory_sha256() not in (frozen.tuned_sha256, frozen.original_sha256)
    live(frozen, finish)
    assert frozen.memory_sha256() == (frozen.original_sha256 if back else frozen.tuned_sha256)


@pytest.mark.parametrize("frozen", HALF_WRITTEN, indirect=True)
def test_a_write_goes_on_with_what_it_was_begun_for(frozen: Thawed) -> None:
    """An order that an earlier build spelt otherwise is no new target: what is programmed still counts."""

    async def finish(box: EngineContext, car: Car) -> None:
        (flash,) = box.journal.open_flashes()
        before = [step.step for step in box.journal.steps(flash.id)].count(Step.RETARGETED)
        await recover(box, frozen.job)
        steps = [step.step for step in box.journal.steps(flash.id)]
        assert steps.count(Step.RETARGETED) == before
        assert Step.RESUMED in steps

    live(frozen, finish)


@pytest.mark.parametrize("frozen", WHOLE, indirect=True)
def test_the_original_goes_back(frozen: Thawed) -> None:
    async def put_back(box: EngineContext, car: Car) -> None:
        assert box.journal.open_flashes() == []
        assert (await restore(box, frozen.job))["result"] == "restored"

    live(frozen, put_back)
    assert frozen.memory_sha256() == frozen.original_sha256


@pytest.mark.parametrize("frozen", BENCHED, indirect=True)
def test_what_needs_the_bench_is_still_half_written(frozen: Thawed) -> None:
    before = frozen.memory_sha256()

    async def ask(box: EngineContext, car: Car) -> None:
        assert box.journal.job(frozen.job).state is JobState.NEEDS_BENCH
        with pytest.raises(PitboxError) as refusal:
            await recover(box, frozen.job)
        assert refusal.value.code == "NEEDS_BENCH"
        assert box.journal.job(frozen.job).state is JobState.NEEDS_BENCH

    live(frozen, ask)
    assert frozen.memory_sha256() == before
