"""What the engine does with a state directory that is damaged, foreign or exposed."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events import AlarmEvent, Event
from appliance.engine.context import open_box
from appliance.engine.operations.read import identify
from appliance.engine.operations.restore_without_journal import reopen
from appliance.engine.operations.write import recover, restore
from appliance.engine.report import report_of
from appliance.engine.settings import EngineSettings
from appliance.engine.statedir import held, refuse_other_kinds
from appliance.flashing.database import StorageError
from appliance.flashing.marks import MarksFile
from appliance.flashing.safety import tell_safety
from appliance.vault.errors import VaultError
from tests.frozen.thaw import Thawed, live, thaw
from tests.support.killing import Killed, Killer


@pytest.fixture
def half_written(tmp_path: Path) -> Thawed:
    """A box with a half-written ECU, its journal of the present format."""
    thawed = thaw("v1/half_written", tmp_path / "thawed")

    async def nothing(box: Any, car: Any) -> None:
        return

    live(thawed, nothing)
    return thawed


def opened(thawed: Thawed, **settings: Any) -> Any:
    nobody: Any = None
    plain = EngineSettings(thawed.state, thawed.state / "engine.sock", role="master")
    return open_box(replace(plain, **settings), nobody)


def test_a_whole_journal_is_not_set_aside(half_written: Thawed) -> None:
    before = half_written.journal.read_bytes()
    with pytest.raises(PitboxError) as refusal:
        opened(half_written, set_journal_aside=True)
    assert refusal.value.code == "JOURNAL_WHOLE"
    assert half_written.journal.read_bytes() == before
    assert not list(half_written.state.glob("*.damaged"))


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_journals_that_are_set_aside_in_one_second_keep_their_own_names(
    half_written: Thawed, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A clock that jumps back tells a second twice; what was kept then is overwritten by nothing."""
    monkeypatch.setattr("appliance.engine.context.time.strftime", lambda form: "20000101-000000")
    said = [b"rubbish %d" % number * 999 for number in range(3)]
    for one in said:
        for file in half_written.state.glob("journal.db*"):
            if not file.name.endswith(".damaged"):
                file.unlink()
        half_written.journal.with_name(f"journal.db{suffix}").write_bytes(one)
        box = opened(half_written, set_journal_aside=True)
        (flash,) = box.journal.open_flashes()
        assert flash.job_id == half_written.job
        box.journal.close()
    kept = half_written.state.glob(f"journal.db{suffix}.*.damaged")
    assert sorted(file.read_bytes() for file in kept) == said


def test_a_damaged_journal_is_set_aside_once_and_the_open_write_stays_known(half_written: Thawed) -> None:
    half_written.journal.write_bytes(b"rubbish" * 999)
    with pytest.raises(PitboxError, match="JOURNAL_DAMAGED"):
        opened(half_written)
    box = opened(half_written, set_journal_aside=True)
    (flash,) = box.journal.open_flashes()
    assert flash.job_id == half_written.job
    box.journal.close()
    assert len(list(half_written.state.glob("journal.db.*.damaged"))) == 1
    with pytest.raises(PitboxError, match="JOURNAL_WHOLE"):
        opened(half_written, set_journal_aside=True)


@pytest.mark.parametrize("original", [False, True])
def test_an_ecu_is_finished_whose_journal_is_gone(half_written: Thawed, original: bool) -> None:
    half_written.journal.unlink()
    events: list[Event] = []

    async def finish(box: Any, car: Any) -> None:
        result = await recover(box, None, original)
        assert result["job"] == half_written.job

    live(half_written, finish, events)
    expected = half_written.original_sha256 if original else half_written.tuned_sha256
    assert half_written.memory_sha256() == expected
    alarms = [event for event in events if isinstance(event, AlarmEvent)]
    assert "has begun to erase" in alarms[0].text


# --- the directory itself


def test_a_state_directory_works_at_another_place(half_written: Thawed, tmp_path: Path) -> None:
    half_written.state.rename(tmp_path / "moved")
    moved = replace(half_written, state=tmp_path / "moved")

    async def look(box: Any, car: Any) -> None:
        sealed = report_of(box.journal, moved.job, moved.definition)["sealed"]
        assert sealed
        for one in sealed:
            assert Path(one["path"]).is_relative_to(tmp_path / "moved")
            assert os.access(one["path"], os.R_OK)
        assert str(half_written.state) not in str(box.journal.job(moved.job).detail)

    live(moved, look)


def pipes(state: Path) -> Iterator[Path]:
    for pattern in ("journal.db", "writes.1", "keys/seed", "keys/box.json", "definitions/*", "images/*"):
        yield next(iter(sorted(state.glob(pattern))))
    yield next(path for path in sorted((state / "blobs").rglob("*")) if path.is_file())


@pytest.mark.timeout(20)
@pytest.mark.parametrize("which", range(7))
def test_a_pipe_under_a_files_name_is_not_waited_for(half_written: Thawed, which: int) -> None:
    path = list(pipes(half_written.state))[which]
    path.unlink()
    os.mkfifo(path, 0o600)

    async def use(box: Any, car: Any) -> None:
        assert box.journal.open_flashes()
        box.images.salvage(box.images.load(box.journal.job(half_written.job).original_file or ""))
        box.definition(half_written.definition.id, box.journal.job(half_written.job).definition_sha256)

    with suppress(PitboxError):
        live(half_written, use)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o702])
def test_a_directory_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)
    with pytest.raises(PitboxError) as refusal, held(state):
        raise AssertionError("it was accepted")
    assert refusal.value.code == "STATE_EXPOSED"
    assert f"{mode:04o}" in refusal.value.what
    state.chmod(0o755)
    with held(state):
        pass


@pytest.mark.parametrize("below", ["secrets", "secrets/pbx-v381", "keys", "blobs/ab"])
def test_a_folder_below_that_others_may_write_is_refused(tmp_path: Path, below: str) -> None:
    folder = tmp_path / "state" / below
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(PitboxError) as refusal, held(tmp_path / "state"):
        raise AssertionError("it was accepted")
    assert refusal.value.code == "STATE_EXPOSED"
    assert str(folder) in refusal.value.what and str(folder) in refusal.value.do_now
    folder.chmod(0o755)
    with held(tmp_path / "state"):
        pass


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PitboxError, match="STATE_EXPOSED"), held(tmp_path / "state"):
        raise AssertionError("it was accepted")


@pytest.mark.timeout(20)
def test_a_lock_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "state" / "lock")
    with suppress(PitboxError), held(tmp_path / "state"):
        pass


def test_a_journal_that_others_could_read_is_made_private(half_written: Thawed) -> None:
    half_written.journal.chmod(0o644)
    opened(half_written).journal.close()
    assert half_written.journal.stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    (tmp_path / "engine.log").symlink_to(elsewhere)
    with pytest.raises(PitboxError, match="STATE_UNUSABLE"):
        refuse_other_kinds(tmp_path / "engine.log")


@pytest.mark.parametrize("lost", [False, True])
def test_a_journal_that_became_a_link_is_set_aside(
    half_written: Thawed, tmp_path: Path, *, lost: bool
) -> None:
    elsewhere = half_written.journal.rename(tmp_path / "elsewhere")
    if lost:
        elsewhere.unlink()
    half_written.journal.symlink_to(elsewhere)
    with pytest.raises(PitboxError, match="JOURNAL_DAMAGED"):
        opened(half_written)
    box = opened(half_written, set_journal_aside=True)
    assert [flash.job_id for flash in box.journal.open_flashes()] == [half_written.job]
    box.journal.close()


# --- everything rolled back together


@pytest.fixture
def rolled_back(tmp_path: Path) -> Thawed:
    """A box whose whole disk is of before the write, and its ECU, which is half written."""
    box = thaw("v2/read_verified", tmp_path / "box")
    written = thaw("v2/half_written", tmp_path / "written")
    assert box.original_sha256 == written.original_sha256
    return replace(box, car=written.car)


def test_a_forgotten_write_is_told_by_the_ecu_and_nothing_else_is_written(rolled_back: Thawed) -> None:
    """The last witness is the ECU's own memory: its bootloader answers, and only the original goes in."""

    async def go_on(box: Any, car: Any) -> None:
        assert box.journal.open_flashes() == []
        calls = [lambda: identify(box), lambda: recover(box)]
        for call in calls:
            with pytest.raises(PitboxError) as refusal:
                await call()
            tell_safety(refusal.value, box.journal, None, journal_doubted=call is calls[1])
            assert refusal.value.ecu is EcuSafety.UNKNOWN, refusal.value
        assert rolled_back.memory_sha256() == before
        rescue = await reopen(box, rolled_back.definition.id)
        assert (await recover(box, rescue))["result"] == "restored"

    before = rolled_back.memory_sha256()
    live(rolled_back, go_on)
    assert rolled_back.memory_sha256() == rolled_back.original_sha256


def test_a_forgotten_write_is_no_bar_to_the_ecus_own_original(rolled_back: Thawed) -> None:
    """Its bootloader tells the serial number of the job's ECU: that is proof enough."""

    async def go_on(box: Any, car: Any) -> None:
        assert (await restore(box, rolled_back.job))["result"] == "restored"

    live(rolled_back, go_on)
    assert rolled_back.memory_sha256() == rolled_back.original_sha256


def test_a_power_cut_at_any_instant_of_a_rescue_leaves_it_whole_or_nothing_of_it(
    rolled_back: Thawed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was never read is not left behind as one that was."""
    before = rolled_back.memory_sha256()

    async def dies(box: Any, car: Any) -> None:
        killer.commits_left = instant
        await reopen(box, rolled_back.definition.id)

    async def look(box: Any, car: Any) -> list[str]:
        opened = [flash.job_id for flash in box.journal.open_flashes()]
        assert {job.id for job in box.journal.jobs()} == {rolled_back.job, *opened}
        for job in opened:
            assert (await recover(box, job))["result"] == "restored"
        return opened

    found = []
    for instant in itertools.count(1):
        killer = Killer(shutil.copytree(rolled_back.state, rolled_back.state.with_name(f"state-{instant}")))
        with monkeypatch.context() as patch:
            killer.watch_commits(patch)
            try:
                live(replace(rolled_back, state=killer.state), dies)
                break
            except Killed:
                pass
        car = shutil.copytree(rolled_back.car, rolled_back.car.with_name(f"car-{instant}"))
        after = replace(rolled_back, state=killer.state, car=car)
        found += live(after, look) or ["nothing"]
    assert "nothing" in found and len(set(found)) > 1
    assert rolled_back.memory_sha256() == before


def test_nothing_is_kept_of_a_rescue_whose_record_cannot_be_written(
    rolled_back: Thawed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go_on(box: Any, car: Any) -> None:
        jobs = box.journal.jobs()
        with monkeypatch.context() as patch:
            patch.setattr(MarksFile, "write", full)
            with pytest.raises(StorageError):
                await reopen(box, rolled_back.definition.id)
        assert box.journal.jobs() == jobs
        assert (await recover(box, await reopen(box, rolled_back.definition.id)))["result"] == "restored"

    live(rolled_back, go_on)


def full(_: MarksFile, marks: object) -> None:
    raise VaultError("VAULT_DISK_FULL", path="/state")
