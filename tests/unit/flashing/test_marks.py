"""A half-written ECU is not forgotten, whatever becomes of the journal; a finished write is not reopened."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rfc8785

from appliance.contract.errors import EcuSafety
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH
from appliance.flashing.database import Database, JournalDamagedError, JournalNewerError, StorageError
from appliance.flashing.journal import FlashRecord, Journal, Step
from appliance.flashing.recovering import mark_interrupted
from appliance.flashing.safety import standing
from appliance.protocols.access import EcuIdentity
from appliance.vault import durable
from appliance.vault.authentic import opened_record, sealed_record
from appliance.vault.errors import VaultError
from tests.support.box import mac
from tests.unit.flashing.test_journal import JOB, TEXT, begin

IDENTITY = EcuIdentity(hw="H", sw="S", vin="V" * 17, calid=("A",), cvn=("C",))


@pytest.fixture
def state(ram_path: Path) -> Path:
    folder = ram_path / "state"
    folder.mkdir()
    return folder


def opened(state: Path) -> Journal:
    return Journal(state / "journal.db", lambda: 0.0, mac)


def copy_of(state: Path) -> Path:
    """The disk as it is now."""
    return shutil.copytree(state, state.with_name(f"{state.name}+{os.urandom(6).hex()}"))


def identified(state: Path) -> Journal:
    journal = opened(state)
    begin(journal)
    journal.describe(JOB, "pbx", "ab" * 32, "obd", IDENTITY)
    return journal


def erasing(journal: Journal) -> int:
    """A write whose first block is being erased."""
    flash_id = journal.open_flash(JOB, TEXT)
    journal.step(flash_id, Step.SESSION_OPEN)
    journal.next_block(flash_id, None, (FLASH, 0x1000))
    return flash_id


def assert_half_written(journal: Journal) -> None:
    (flash,) = journal.open_flashes()
    assert (flash.job_id, flash.write_order) == (JOB, TEXT)
    erased = [step for step in journal.steps(flash.id) if step.step is Step.ERASE_INTENT]
    assert erased[0].block == (FLASH, 0x1000)
    job = journal.job(JOB)
    assert (job.definition_sha256, job.identity) == ("ab" * 32, IDENTITY)
    mark_interrupted(journal)
    assert journal.job(JOB).state is JobState.INTERRUPTED


def test_a_flipped_bit_anywhere_in_the_write_ahead_log(state: Path) -> None:
    """SQLite drops that frame and all behind it."""
    journal = identified(state)
    erasing(journal)
    whole = (state / "journal.db-wal").read_bytes()
    told = 0
    for at in range(16, len(whole), 499):
        disk = copy_of(state)
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        (disk / "journal.db-wal").write_bytes(damaged)
        after = opened(disk)
        assert_half_written(after)
        told += bool(after.differences)
        after.close()
        shutil.rmtree(disk)
    assert told > 20


def lost(state: Path, older: Path) -> None:
    for path in state.glob("journal.db*"):
        path.unlink()


def rolled_back(state: Path, older: Path) -> None:
    lost(state, older)
    for path in older.glob("journal.db*"):
        shutil.copy(path, state)


def without_its_log(state: Path, older: Path) -> None:
    (state / "journal.db-wal").unlink()


@pytest.mark.parametrize("happens", [lost, rolled_back, without_its_log])
def test_the_open_write_is_made_anew_from_its_record(
    state: Path, happens: Callable[[Path, Path], None]
) -> None:
    journal = identified(state)
    older = copy_of(state)
    erasing(journal)
    disk = copy_of(state)
    happens(disk, older)
    after = opened(disk)
    assert_half_written(after)
    assert "has begun to erase" in after.differences[0].text
    after.close()
    again = opened(disk)
    assert again.differences == ()
    assert_half_written(again)


@pytest.mark.parametrize("happens", [lost, rolled_back])
def test_an_ecu_for_the_bench_is_not_forgotten(state: Path, happens: Callable[[Path, Path], None]) -> None:
    journal = identified(state)
    older = copy_of(state)
    flash_id = erasing(journal)
    mark_interrupted(journal)
    journal.resume_flash(FlashRecord(flash_id, JOB, TEXT, None), TEXT)
    journal.close_flash(flash_id, JOB, JobState.NEEDS_BENCH, "needs bench")
    happens(state, older)
    after = opened(state)
    assert after.job(JOB).state is JobState.NEEDS_BENCH
    assert after.open_flashes() == []
    flash = after.last_flash(JOB)
    assert flash is not None
    assert flash.outcome == "needs bench"


def test_a_write_set_aside_and_another_one_come_back_as_the_record_has_them(state: Path) -> None:
    """At no moment are two of them open: the one that is over is closed first."""
    journal = identified(state)
    first = erasing(journal)
    mark_interrupted(journal)
    journal.set_aside(first, '{"by": "A", "reason": "B"}')
    begin(journal, "other")
    second = journal.open_flash("other", TEXT)
    older = copy_of(state)
    journal.close_flash(second, "other", JobState.READ_VERIFIED, "abandoned, nothing erased")
    journal.resume_flash(FlashRecord(first, JOB, TEXT, "set aside"), TEXT)
    rolled_back(state, older)
    after = opened(state)
    assert_half_written(after)
    flash = after.last_flash("other")
    assert flash is not None
    assert flash.outcome == "abandoned, nothing erased"


def test_an_older_journal_does_not_reopen_a_finished_write(state: Path) -> None:
    journal = identified(state)
    flash_id = erasing(journal)
    older = copy_of(state)
    journal.move(JOB, JobState.VERIFYING)
    journal.close_flash(flash_id, JOB, JobState.DONE, "done")
    rolled_back(state, older)
    after = opened(state)
    assert after.open_flashes() == []
    assert after.job(JOB).state is JobState.DONE
    assert "ended 'done'" in after.differences[0].text


def test_what_becomes_of_a_job_after_its_write_is_no_difference(state: Path) -> None:
    journal = identified(state)
    flash_id = erasing(journal)
    journal.move(JOB, JobState.VERIFYING)
    journal.close_flash(flash_id, JOB, JobState.DONE, "done")
    journal.move(JOB, JobState.READING)
    journal.read_verified(JOB, "another file")
    journal.close()
    after = opened(state)
    assert after.differences == ()
    assert after.job(JOB).state is JobState.READ_VERIFIED


@pytest.mark.parametrize("name", ["writes.1", "writes.2"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff" * 99, None])
def test_one_damaged_copy_is_told_and_made_whole(state: Path, name: str, damage: bytes | None) -> None:
    journal = identified(state)
    erasing(journal)
    journal.close()
    whole = (state / name).read_bytes()
    if damage is None:
        (state / name).unlink()
    else:
        (state / name).write_bytes(damage)
    after = opened(state)
    assert_half_written(after)
    assert name in after.differences[0].text
    assert (state / name).read_bytes() == whole


def test_the_record_is_made_anew_from_a_whole_journal(state: Path) -> None:
    journal = identified(state)
    erasing(journal)
    journal.close()
    for path in state.glob("writes.*"):
        path.unlink()
    after = opened(state)
    assert_half_written(after)
    assert len(after.differences) == 2
    assert len(list(state.glob("writes.*"))) == 2


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch, passed: Callable[[], None]) -> Iterator[None]:
    """`passed` is called before and behind everything that becomes durable."""
    transaction, write_atomic = Database.transaction, durable.write_atomic

    @contextmanager
    def commit(database: Database) -> Iterator[sqlite3.Connection]:
        passed()
        with transaction(database) as sql:
            yield sql
        passed()

    def write(path: Path, data: bytes) -> None:
        passed()
        write_atomic(path, data)
        passed()

    with monkeypatch.context() as patch:
        patch.setattr(Database, "transaction", commit)
        patch.setattr(durable, "write_atomic", write)
        yield


def test_a_cut_between_journal_and_record(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the two is behind: what was erased is known, and what is finished is finished or open."""
    journal = identified(state)
    disks: list[tuple[Path, bool, bool]] = []
    erased = closing = False

    def keep() -> None:
        disks.append((copy_of(state), erased, closing))

    with watched(monkeypatch, keep):
        flash_id = journal.open_flash(JOB, TEXT)
        journal.next_block(flash_id, None, (FLASH, 0x1000))
        erased = True
        journal.next_block(flash_id, (FLASH, 0x1000), (FLASH, 0x1100))
        mark_interrupted(journal)
        journal.resume_flash(journal.open_flashes()[0], TEXT)
        closing = True
        journal.close_flash(flash_id, JOB, JobState.DONE, "done")
    assert len(disks) > 30
    for disk, was_erased, was_closing in disks:
        after = opened(disk)
        assert after.differences == ()
        if was_erased and not (was_closing and after.job(JOB).state is JobState.DONE):
            assert_half_written(after)
        for flash in after.open_flashes():
            assert flash.write_order == TEXT
        after.close()
        assert opened(disk).differences == ()


def test_the_record_costs_the_same_for_any_number_of_blocks(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    real = durable.write_atomic
    monkeypatch.setattr(
        durable, "write_atomic", lambda path, data: (written.append(path.name), real(path, data))
    )
    journal = identified(state)
    written.clear()
    flash_id = journal.open_flash(JOB, TEXT)
    for block in range(500):
        journal.next_block(flash_id, (FLASH, block - 1) if block else None, (FLASH, block))
    journal.move(JOB, JobState.VERIFYING)
    journal.close_flash(flash_id, JOB, JobState.DONE, "done")
    assert written == ["writes.1", "writes.2"] * 3


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise VaultError("VAULT_DISK_FULL", path="/state")

    monkeypatch.setattr(durable, "write_atomic", full)


def test_nothing_is_erased_while_the_record_cannot_be_written(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = identified(state)
    with monkeypatch.context() as patch:
        failing(patch)
        with pytest.raises(StorageError):
            journal.open_flash(JOB, TEXT)
    assert journal.open_flashes() == []
    journal.move(JOB, JobState.PREFLIGHT)
    flash_id = journal.open_flash(JOB, TEXT)
    with monkeypatch.context() as patch:
        failing(patch)
        with pytest.raises(StorageError):
            journal.next_block(flash_id, None, (FLASH, 0x1000))
    journal.next_block(flash_id, None, (FLASH, 0x1000))
    disk = copy_of(state)
    lost(disk, disk)
    assert_half_written(opened(disk))


def test_a_proven_write_is_done_although_its_record_lags(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = identified(state)
    flash_id = erasing(journal)
    journal.move(JOB, JobState.VERIFYING)
    with monkeypatch.context() as patch:
        failing(patch)
        journal.close_flash(flash_id, JOB, JobState.DONE, "done")
    journal.close()
    after = opened(state)
    assert after.job(JOB).state is JobState.DONE
    assert after.open_flashes() == []


# --- rows that somebody, or a flipped bit, changed in a file that SQLite calls whole


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE job SET original_file='another image of this box'",
        "UPDATE job SET definition_sha256='cd'",
        "UPDATE job SET state='read_verified'",
        "UPDATE job SET detail='{}'",
        "UPDATE flash SET outcome='done', closed_at=1",
        "UPDATE flash SET job_id='other'",
        "UPDATE flash_step SET step='programmed'",
        "UPDATE read_chunk SET segment='{}'",
        "UPDATE meta SET serial=0",
        "DELETE FROM meta",
    ],
)
def test_a_changed_row_is_not_believed(state: Path, statement: str) -> None:
    from tests.unit.flashing.test_journal import chunk

    journal = identified(state)
    journal.note(JOB, grant_starts={"a": 3})
    journal.add_chunk(JOB, 1, chunk(0))
    erasing(journal)
    journal.close()
    sql = sqlite3.connect(state / "journal.db")
    assert sql.execute(statement).rowcount
    sql.commit()
    sql.close()
    with pytest.raises(JournalDamagedError):
        opened(state)


def test_a_deleted_write_is_taken_from_the_record(state: Path) -> None:
    journal = identified(state)
    erasing(journal)
    journal.close()
    sql = sqlite3.connect(state / "journal.db")
    for table in ("flash", "flash_step", "job"):
        sql.execute(f"DELETE FROM {table}")
    sql.commit()
    sql.close()
    assert_half_written(opened(state))


def test_another_box_has_not_written_this_journal(state: Path) -> None:
    identified(state).close()
    with pytest.raises(JournalDamagedError, match="not what this box wrote"):
        Journal(state / "journal.db", lambda: 0.0, lambda data: "00" * 32)


def test_a_journal_of_a_newer_version_is_left_alone(state: Path) -> None:
    identified(state).close()
    sql = sqlite3.connect(state / "journal.db")
    sql.execute("PRAGMA user_version = 99")
    sql.close()
    before = (state / "journal.db").read_bytes()
    with pytest.raises(JournalNewerError, match="format 99") as caught:
        opened(state)
    assert caught.value.log == str(state / "journal.db")
    assert (state / "journal.db").read_bytes() == before


def finished(journal: Journal, outcome: JobState = JobState.DONE) -> None:
    flash_id = erasing(journal)
    journal.move(JOB, JobState.VERIFYING)
    journal.close_flash(flash_id, JOB, outcome, outcome.value)


@pytest.mark.parametrize("happens", [lost, rolled_back])
def test_a_finished_write_that_the_journal_forgot_is_not_called_untouched(
    state: Path, happens: Callable[[Path, Path], None]
) -> None:
    journal = identified(state)
    older = copy_of(state)
    finished(journal)
    disk = copy_of(state)
    happens(disk, older)
    after = opened(disk)
    assert after.differences
    assert standing(after, JOB).ecu is EcuSafety.INTACT
    assert after.job(JOB).state is JobState.DONE
    assert [flash.outcome for flash in after.flashes(JOB)] == ["done"]


def test_a_write_whose_end_is_known_only_by_a_later_one_is_not_called_untouched(state: Path) -> None:
    journal = identified(state)
    flash_id = erasing(journal)
    older = copy_of(state)
    journal.move(JOB, JobState.VERIFYING)
    journal.close_flash(flash_id, JOB, JobState.DONE, "done")
    begin(journal, "other")
    journal.open_flash("other", TEXT)
    disk = copy_of(state)
    rolled_back(disk, older)
    after = opened(disk)
    assert [flash.job_id for flash in after.open_flashes()] == ["other"]
    assert standing(after, JOB).ecu is EcuSafety.INTACT


def with_named_access(state: Path) -> Journal:
    journal = identified(state)
    journal.describe(JOB, "pbx", "ab" * 32, "obd", IDENTITY, "obd-by-the-gateway")
    return journal


@pytest.mark.parametrize("happens", [lost, rolled_back])
def test_the_access_of_an_open_write_is_known_by_its_name(
    state: Path, happens: Callable[[Path, Path], None]
) -> None:
    """Of two accesses of one method, its recovery must take the one that the write was begun over."""
    journal = identified(state)
    older = copy_of(state)
    journal.describe(JOB, "pbx", "ab" * 32, "obd", IDENTITY, "obd-by-the-gateway")
    journal.note(JOB, voltage={"min_v": 12.0, "max_v": 13.0})
    erasing(journal)
    disk = copy_of(state)
    happens(disk, older)
    after = opened(disk)
    assert_half_written(after)
    assert after.job(JOB).detail["access"] == "obd-by-the-gateway"
    after.close()
    assert opened(disk).differences == ()


def test_a_record_of_before_names_were_kept_is_read_and_made_new(state: Path) -> None:
    journal = with_named_access(state)
    erasing(journal)
    journal.close()
    for path in (state / "writes.1", state / "writes.2"):
        record = json.loads(opened_record("writes", path.read_bytes(), mac, 3))
        record["v"] = 2
        for write in record["writes"]:
            assert write.pop("access") == "obd-by-the-gateway"
        path.write_bytes(sealed_record("writes", rfc8785.dumps(record), mac))
    after = opened(state)
    assert after.differences == ()
    assert after.job(JOB).detail["access"] == "obd-by-the-gateway"
    again = json.loads(opened_record("writes", (state / "writes.1").read_bytes(), mac, 3))
    assert (again["v"], again["writes"][0]["access"]) == (3, "obd-by-the-gateway")
    lost(state, state)
    (state / "writes.1").unlink()
    assert opened(state).job(JOB).detail["access"] == "obd-by-the-gateway"
