from __future__ import annotations

import gc
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import ECU_IN_DANGER, JobState, may_move
from appliance.contract.places import FLASH
from appliance.contract.records import Segment
from appliance.flashing.database import Database, JournalDamagedError, JournalNewerError, StorageError
from appliance.flashing.journal import ChunkRecord, Journal, Step
from appliance.flashing.recovering import mark_interrupted
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import Block, EcuIdentity
from tests.support.box import mac
from tests.support.places import flash

JOB = "j"
ORDER = WriteOrder(
    kind="tuned",
    definition_id="pbx",
    method="obd",
    original_file="original",
    tuned_file="tuned",
    blocks=(Block("calibration", flash(0x1000, 0x100)), Block("calibration", flash(0x1100, 0x100), 7)),
    guarded=(Block("boot", flash(0, 0x100)),),
    target_sha256="cd" * 32,
)
TEXT = ORDER.to_json()
WAY_TO_FLASHING = (JobState.IDENTIFIED, JobState.READING, JobState.READ_VERIFIED, JobState.PREFLIGHT)


def opened(path: Path) -> Journal:
    return Journal(path, lambda: 0.0, mac)


@pytest.fixture
def path(ram_path: Path) -> Path:
    return ram_path / "state" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = opened(path)
    yield journal
    journal.close()


def begin(journal: Journal, job_id: str = JOB) -> None:
    """A job in preflight."""
    journal.create_job(job_id)
    for state in WAY_TO_FLASHING:
        journal.move(job_id, state)


def chunk(address: int) -> ChunkRecord:
    return ChunkRecord("ef" * 32, Segment(flash(address, 16), "01" * 32, "02" * 32, 200), 1, 0.5)


def snapshot(path: Path) -> Journal:
    """The journal as a box would find it had the power gone now."""
    copy = path.parent.with_name(f"{path.parent.name}+{os.urandom(4).hex()}")
    shutil.copytree(path.parent, copy)
    return opened(copy / path.name)


def content(journal: Journal) -> object:
    """Everything that can be read from a journal."""
    jobs = journal.jobs()
    flashes = [flash for job in jobs if (flash := journal.last_flash(job.id))]
    chunks = [journal.chunks(job.id, number) for job in jobs for number in (1, 2)]
    return jobs, flashes, [journal.steps(flash.id) for flash in flashes], chunks, journal.open_flashes()


def test_every_write_is_durable_when_it_returns(journal: Journal, path: Path) -> None:
    identity = EcuIdentity(hw="H", calid=("A", "B"), cvn=("C",))
    begin(journal)
    flash_id = 1
    acts: list[Callable[[], object]] = [
        lambda: journal.describe(JOB, "pbx", "ab" * 32, "obd", identity),
        lambda: journal.note(JOB, voltage=13.5),
        lambda: journal.note(JOB, more=[1, 2]),
        lambda: journal.add_chunk(JOB, 1, chunk(0)),
        lambda: journal.add_chunk(JOB, 2, chunk(64)),
        lambda: journal.open_flash(JOB, TEXT),
        lambda: journal.step(flash_id, Step.SESSION_OPEN),
        lambda: journal.next_block(flash_id, None, (FLASH, 0x1000)),
        lambda: journal.next_block(flash_id, (FLASH, 0x1000), (FLASH, 0x1100)),
        lambda: journal.move_with_step(flash_id, Step.INTERRUPTED, JOB, JobState.INTERRUPTED, "why"),
        lambda: journal.resume_flash(journal.open_flashes()[0], TEXT),
        lambda: journal.close_flash(flash_id, JOB, JobState.DONE, "done"),
        lambda: journal.move(JOB, JobState.READING),
        lambda: journal.read_verified(JOB, "file"),
        lambda: journal.forget_chunks(JOB),
    ]
    for act in acts:
        before = content(journal)
        act()
        after_a_cut = snapshot(path)
        assert content(after_a_cut) == content(journal) != before
        after_a_cut.close()


def test_an_order_survives_its_way_through_the_journal(journal: Journal) -> None:
    begin(journal)
    journal.open_flash(JOB, TEXT)
    (flash,) = journal.open_flashes()
    assert WriteOrder.from_json(flash.write_order) == ORDER


def test_only_one_write_is_open_in_a_box(journal: Journal) -> None:
    begin(journal)
    begin(journal, "other")
    journal.open_flash(JOB, TEXT)
    with pytest.raises(PitboxError, match="WRITE_OPEN") as caught:
        journal.open_flash("other", TEXT)
    assert f"--job {JOB}" in caught.value.do_now
    assert journal.job("other").state is JobState.PREFLIGHT


def test_a_write_that_needs_the_bench_is_not_resumed_while_another_is_open(journal: Journal) -> None:
    begin(journal)
    journal.open_flash(JOB, TEXT)
    (benched,) = mark_interrupted(journal)
    journal.resume_flash(benched, TEXT)
    journal.close_flash(benched.id, JOB, JobState.NEEDS_BENCH, "needs bench")
    begin(journal, "other")
    journal.open_flash("other", TEXT)
    with pytest.raises(PitboxError, match="WRITE_OPEN"):
        journal.resume_flash(benched, TEXT)
    assert journal.job(JOB).state is JobState.NEEDS_BENCH


def test_another_target_is_recorded_as_such_even_from_an_old_record(journal: Journal) -> None:
    begin(journal)
    journal.open_flash(JOB, TEXT)
    (flash,) = mark_interrupted(journal)
    other = TEXT.replace("tuned", "original")
    for order, step in ((TEXT, Step.RESUMED), (other, Step.RETARGETED), (TEXT, Step.RETARGETED)):
        journal.resume_flash(flash, order)
        assert journal.steps(flash.id)[-1].step is step
        mark_interrupted(journal)


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda journal: journal.create_job(JOB), "JOB_EXISTS"),
        (lambda journal: journal.job("nobody"), "JOB_UNKNOWN"),
        (lambda journal: journal.note("nobody", a=1), "JOB_UNKNOWN"),
        (lambda journal: journal.describe("nobody", "d", "s", "obd", EcuIdentity()), "JOB_UNKNOWN"),
        (lambda journal: journal.move(JOB, JobState.DONE), "JOB_STATE"),
        (lambda journal: journal.open_flash(JOB, TEXT), "JOB_STATE"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    journal: Journal, act: Callable[[Journal], object], code: str
) -> None:
    journal.create_job(JOB)
    before = content(journal)
    with pytest.raises(PitboxError, match=code):
        act(journal)
    assert content(journal) == before


# --- damage


class Whole(bytes):
    """A good journal, too long to be shown."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


@pytest.fixture
def whole(ram_path: Path) -> bytes:
    """A journal in one file: a job with an interrupted write, another one that is read."""
    path = ram_path / "whole" / "journal.db"
    journal = opened(path)
    begin(journal)
    journal.open_flash(JOB, TEXT)
    journal.next_block(1, None, (FLASH, 0x1000))
    mark_interrupted(journal)
    journal.create_job("other")
    for address in range(0, 640, 64):
        journal.add_chunk("other", 1, chunk(address))
    journal.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["journal.db", "writes.1", "writes.2"]
    return Whole(path.read_bytes())


def refused_untouched(path: Path, damaged: bytes) -> None:
    """Opening and reading it raises the error for damage and leaves the file as it was."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(damaged)
    with pytest.raises(JournalDamagedError) as caught:
        content(opened(path))
    assert caught.value.code == "JOURNAL_DAMAGED"
    assert caught.value.ecu is EcuSafety.UNKNOWN
    assert caught.value.log == str(path)
    assert path.read_bytes() == damaged


@given(noise=st.binary(max_size=9000))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_no_journal(path: Path, noise: bytes) -> None:
    refused_untouched(path, noise)


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_journal_is_refused(path: Path, whole: bytes, share: float) -> None:
    refused_untouched(path, whole[: int(len(whole) * share)])


@pytest.mark.parametrize("statement", ["CREATE TABLE job(id TEXT)", "PRAGMA application_id = 1346982978"])
def test_another_sqlite_file_is_no_journal(path: Path, statement: str) -> None:
    path.parent.mkdir()
    sql = sqlite3.connect(path)
    sql.execute(statement)
    sql.close()
    with pytest.raises(JournalDamagedError, match="not a journal"):
        opened(path)
    refused_untouched(path, path.read_bytes())


def test_an_emptied_journal_is_not_taken_for_a_new_one(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(JournalDamagedError, match="not a journal"):
        opened(path)
    assert path.read_bytes() == b""


def test_a_write_ahead_log_without_its_journal_is_damage(path: Path) -> None:
    path.parent.mkdir()
    log = path.with_name("journal.db-wal")
    log.write_bytes(b"commits that only the log holds")
    with pytest.raises(JournalDamagedError):
        opened(path)
    assert not path.exists()
    assert log.read_bytes() == b"commits that only the log holds"


@given(at=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
@example(at=63 / 65536, mask=8)
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_flipped_byte_never_changes_what_would_be_written(
    path: Path, whole: bytes, at: float, mask: int
) -> None:
    """Either the damage is noticed, or the order and the open write are what they were.

    A flipped bit of the version's number reads as a newer version: nothing is done with that either.
    """
    damaged = bytearray(whole)
    damaged[int(at * len(whole))] ^= mask
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(damaged)
    try:
        journal = opened(path)
        content(journal)
        (flash,) = journal.open_flashes()
    except (JournalDamagedError, JournalNewerError):
        return
    assert flash.write_order == TEXT
    journal.close()


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_pages_of_rubbish_under_an_open_journal_are_reported(
    ram_path: Path, whole: bytes, data: st.DataObject
) -> None:
    path = ram_path / "under" / "journal.db"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(whole)
    journal = opened(path)
    page = data.draw(st.integers(1, len(whole) // 4096 - 1))
    path.write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
    try:
        content(journal)
        journal.note("other", fact=1)
    except JournalDamagedError:
        pass
    finally:
        journal.close()


def test_a_half_made_journal_is_made_anew(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("journal.db.new").write_bytes(b"the power went while it was made")
    journal = opened(path)
    journal.create_job(JOB)
    journal.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["journal.db", "writes.1", "writes.2"]


# --- disks


def test_a_full_disk_loses_nothing_and_is_over_when_there_is_room(journal: Journal, path: Path) -> None:
    begin(journal)
    journal.open_flash(JOB, TEXT)
    full(journal, True)
    before = content(journal)
    with pytest.raises(StorageError, match="full") as caught:
        journal.note(JOB, much="x" * 100_000)
    assert caught.value.code == "STORAGE_FAILED"
    assert caught.value.do_now
    assert content(journal) == before
    after_a_cut = snapshot(path)
    assert content(after_a_cut) == before
    after_a_cut.close()
    full(journal, False)
    journal.next_block(1, None, (FLASH, 0x1000))
    assert [step.step for step in journal.steps(1)] == [Step.INTENT, Step.ERASE_INTENT]


def full(journal: Journal, yes: bool) -> None:
    """Let SQLite believe that there is no room for another page."""
    sql = journal._db._sql
    pages = sql.execute("PRAGMA page_count").fetchone()[0] if yes else 1 << 30
    sql.execute(f"PRAGMA max_page_count={pages}")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB that can be filled and made read-only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_fills_up(tiny_disk: Path) -> None:
    journal = opened(tiny_disk / "journal.db")
    begin(journal)
    journal.open_flash(JOB, TEXT)
    fill(tiny_disk / "filler")
    noted = 0
    with pytest.raises(StorageError):
        for noted in range(1000):
            journal.step(1, Step.SKIPPED, detail=f"{noted}" + "x" * 500)
    recorded = [step.detail for step in journal.steps(1) if step.detail]
    assert [detail.rstrip("x") for detail in recorded] == [str(number) for number in range(noted)]
    (tiny_disk / "filler").unlink()
    journal.step(1, Step.SESSION_OPEN)
    journal.close()
    again = opened(tiny_disk / "journal.db")
    assert again.steps(1)[-1].step is Step.SESSION_OPEN
    again.close()


def test_no_room_for_a_new_journal(tiny_disk: Path) -> None:
    fill(tiny_disk / "filler")
    with pytest.raises(StorageError):
        opened(tiny_disk / "journal.db")
    (tiny_disk / "filler").unlink()
    opened(tiny_disk / "journal.db").close()


def test_a_read_only_disk(tiny_disk: Path) -> None:
    journal = opened(tiny_disk / "journal.db")
    begin(journal)
    journal.close()
    kept = (tiny_disk / "journal.db").read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    with pytest.raises(StorageError):
        opened(tiny_disk / "journal.db")
    with pytest.raises(StorageError):
        opened(tiny_disk / "other" / "journal.db")
    assert (tiny_disk / "journal.db").read_bytes() == kept


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def test_a_body_that_fails_leaves_no_open_transaction(path: Path) -> None:
    database = Database(path, mac)
    with pytest.raises(RuntimeError), database.transaction() as sql:
        sql.execute("INSERT INTO flash_step(flash_id, step, at) VALUES(1, 'intent', 0)")
        raise RuntimeError
    assert database.rows("SELECT * FROM flash_step") == []
    with database.transaction() as sql:
        sql.execute("INSERT INTO flash_step(flash_id, step, at) VALUES(2, 'intent', 0)")
    assert [row["flash_id"] for row in database.rows("SELECT * FROM flash_step")] == [2]
    database.close()


# --- job states


def test_danger_is_left_by_proof_or_by_never_having_been_touched() -> None:
    left = {
        (old, new) for old in ECU_IN_DANGER for new in set(JobState) - ECU_IN_DANGER if may_move(old, new)
    }
    assert {new for _, new in left} == {JobState.DONE, JobState.RESTORED, JobState.READ_VERIFIED}
    assert not any(may_move(state, JobState.CANCELLED) for state in ECU_IN_DANGER)


def test_only_preflight_leads_to_a_write() -> None:
    assert [state for state in JobState if may_move(state, JobState.FLASHING)] == [
        JobState.PREFLIGHT,
        JobState.VERIFYING,
    ]


def test_nothing_leads_to_recovering_but_an_interruption_or_the_bench() -> None:
    assert {state for state in JobState if may_move(state, JobState.RECOVERING)} == {
        JobState.INTERRUPTED,
        JobState.NEEDS_BENCH,
    }


class JobMachine(RuleBasedStateMachine):
    """Any moves in any order: the journal takes those that exist, and shows after each what was taken."""

    @initialize()
    def open(self) -> None:
        self.folder = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / os.urandom(8).hex()
        self.journal = opened(self.folder / "journal.db")
        self.journal.create_job(JOB)
        self.state = JobState.DRAFT
        self.open_flash: int | None = None

    @rule(state=st.sampled_from(JobState))
    def move(self, state: JobState) -> None:
        if may_move(self.state, state):
            self.journal.move(JOB, state)
            self.state = state
        else:
            with pytest.raises(PitboxError, match="JOB_STATE"):
                self.journal.move(JOB, state)

    @rule()
    def open_a_write(self) -> None:
        if self.open_flash is None and may_move(self.state, JobState.FLASHING):
            self.open_flash = self.journal.open_flash(JOB, TEXT)
            self.state = JobState.FLASHING
        else:
            with pytest.raises(PitboxError):
                self.journal.open_flash(JOB, TEXT)

    @rule(
        state=st.sampled_from(
            [JobState.DONE, JobState.RESTORED, JobState.READ_VERIFIED, JobState.NEEDS_BENCH]
        )
    )
    def close_the_write(self, state: JobState) -> None:
        if self.open_flash is None:
            return
        if may_move(self.state, state):
            self.journal.close_flash(self.open_flash, JOB, state, state.value)
            self.state, self.open_flash = state, None
        else:
            with pytest.raises(PitboxError, match="JOB_STATE"):
                self.journal.close_flash(self.open_flash, JOB, state, state.value)

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.journal = opened(self.folder / "journal.db")

    @invariant()
    def agrees(self) -> None:
        assert self.journal.job(JOB).state is self.state
        assert [flash.id for flash in self.journal.open_flashes()] == (
            [] if self.open_flash is None else [self.open_flash]
        )

    def teardown(self) -> None:
        self.journal.close()
        shutil.rmtree(self.folder)


JobMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
test_any_moves_in_any_order = JobMachine.TestCase


def test_an_order_of_an_earlier_build_is_the_same_order() -> None:
    """It stated the definition's digest as well, which the job's own row states better."""
    earlier = json.dumps({**json.loads(TEXT), "definition_sha256": "ab" * 32})
    assert WriteOrder.from_json(earlier) == ORDER


def test_the_newest_job_is_the_one_made_last_however_the_clock_was_set(tmp_path: Path) -> None:
    clock = [2e9]
    journal = Journal(tmp_path / "journal.db", lambda: clock[0], mac)
    for job, clock[0] in (("first", 2e9), ("second", 1e9), ("third", 1.5e9)):
        journal.create_job(job)
    assert [job.id for job in journal.jobs()] == ["third", "second", "first"]
    journal.close()


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE TRIGGER t AFTER INSERT ON flash_step WHEN new.step = 'erase_intent' "
        "BEGIN DELETE FROM flash_step WHERE seq = new.seq; END",
        "CREATE VIEW v AS SELECT * FROM job",
        "CREATE TABLE other(a)",
        "CREATE UNIQUE INDEX strange ON flash_step(step)",
        "DROP INDEX one_open_flash",
        "ALTER TABLE flash ADD COLUMN note TEXT",
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = replace(sql, 'seq INTEGER PRIMARY KEY', "
        "'seq INTEGER PRIMARY KEY ON CONFLICT IGNORE') WHERE name = 'flash_step'",
    ],
    ids=["trigger", "view", "table", "index", "no_index", "column", "conflict"],
)
def test_tables_that_are_not_ours_are_refused(tmp_path: Path, statements: str) -> None:
    """Every row is genuine, and the journal would forget the next erase."""
    path = tmp_path / "journal.db"
    opened(path).close()
    sql = sqlite3.connect(path)
    sql.executescript(statements)
    sql.close()
    with pytest.raises(JournalDamagedError, match="its tables are not those of this box"):
        opened(path)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_link_under_the_journals_name_is_not_followed(tmp_path: Path, suffix: str) -> None:
    opened(tmp_path / "journal.db").close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes((tmp_path / "journal.db").read_bytes())
    elsewhere.chmod(0o644)
    link = tmp_path / f"journal.db{suffix}"
    link.unlink(missing_ok=True)
    link.symlink_to(elsewhere)
    with pytest.raises(JournalDamagedError, match="is a link"):
        opened(tmp_path / "journal.db")
    assert elsewhere.stat().st_mode & 0o777 == 0o644


def held_open(folder: Path) -> list[str]:
    """Files below the folder that this process holds open."""
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return [str(target) for target in map(Path.readlink, links) if target.is_relative_to(folder)]


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is dropped goes at once, or never."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_journal_that_is_dropped_is_closed(tmp_path: Path) -> None:
    """What SQLite holds of ours must not lead back to it: not even the collector would see that."""
    path = tmp_path / "state" / "journal.db"
    journal = opened(path)
    begin(journal)
    journal.open_flash(JOB, TEXT)
    assert held_open(path.parent)
    del journal
    assert held_open(path.parent) == []
