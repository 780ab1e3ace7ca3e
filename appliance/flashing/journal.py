"""The flight recorder: jobs, reads and every intent of a write, durable before it is acted on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from appliance.contract.alarm_texts import Trouble
from appliance.contract.errors import EngineError
from appliance.contract.events import Event, Heard
from appliance.contract.jobs import JobState, may_move
from appliance.contract.places import Start
from appliance.flashing.database import Database, StorageError
from appliance.flashing.journal_reader import JournalReader
from appliance.flashing.marks import NOTHING_ERASED, SET_ASIDE
from appliance.flashing.operation_log import OperationLog
from appliance.flashing.proposal_log import ProposalLog
from appliance.flashing.recorder import Recorder
from appliance.flashing.rows import (
    ChunkRecord,
    FlashRecord,
    JobRecord,
    Step,
    StepRecord,
    add_chunk,
    add_job,
    add_step,
    identity_text,
    seal_rows,
)
from appliance.flashing.writes_record import WritesRecord
from appliance.protocols.access import EcuIdentity
from appliance.vault.authentic import Mac

__all__ = ["ChunkRecord", "FlashRecord", "JobRecord", "Journal", "Step", "StepRecord"]


class Journal(JournalReader):
    """All of the box's memory of what it is doing. Every method that writes is durable on return."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float],
        mac: Mac,
        heard: Heard = lambda recorded: None,
    ) -> None:
        """Open or make it, and compare it with the record of its writes beside it.

        `heard` is called with every event, in the thread that uses the journal.

        Raises JournalDamagedError, JournalNewerError, StorageError.
        """
        super().__init__(path, Database(path, mac), mac)
        self.differences: tuple[Trouble, ...] = ()
        """What it had forgotten, or what of its record was damaged: both are whole again."""
        self._now = now
        self.events = Recorder(self._db, mac, now, heard)
        self.operations = OperationLog(self._db, self.events, mac, now)
        self._record = WritesRecord(self._db, self.events, path.parent, now, mac)
        self.proposals = ProposalLog(self._db, self.events, self.operations, self._record, mac, now)
        self._touched: set[int] = set()
        try:
            self.differences = self._record.reconcile(self.proposals.distrust)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def create_job(self, job_id: str) -> None:
        """A new draft. Raises PitboxError for an id that is taken."""
        draft = JobRecord(job_id, JobState.DRAFT, None, None, None, None, None, {}, self._now())
        with self.events.change() as sql:
            self._create(sql, draft)

    def move(self, job_id: str, state: JobState) -> None:
        """Enter a state. Raises PitboxError for a move that does not exist."""
        with self.events.change() as sql:
            self._move(sql, job_id, state)

    def describe(
        self,
        job_id: str,
        definition_id: str,
        definition_sha256: str,
        method: str,
        identity: EcuIdentity,
        access: str | None = None,
    ) -> None:
        """Pin what was identified, and the definition's access by its name. Raises PitboxError."""
        with self.events.change() as sql:
            detail = {**self.job(job_id).detail, **({} if access is None else {"access": access})}
            sql.execute(
                "UPDATE job SET definition_id=?, definition_sha256=?, method=?, identity=?, detail=? "
                "WHERE id=?",
                (
                    definition_id,
                    definition_sha256,
                    method,
                    identity_text(identity),
                    json.dumps(detail),
                    job_id,
                ),
            )
            self._seal_job(sql, job_id)

    def note(self, job_id: str, **facts: object) -> None:
        """Add facts (JSON values) to the job's detail."""
        with self.events.change() as sql:
            self._note(sql, job_id, facts)

    def note_with_event(self, job_id: str, event: Event, **facts: object) -> None:
        """Add facts to the job's detail, and tell the event that they come from."""
        with self.events.change() as sql:
            self._note(sql, job_id, facts)
            self.events.add(event)

    def read_verified(self, job_id: str, original_file: str) -> None:
        """The original is sealed and both passes agree."""
        with self.events.change() as sql:
            sql.execute("UPDATE job SET original_file=? WHERE id=?", (original_file, job_id))
            self._seal_job(sql, job_id)
            self._move(sql, job_id, JobState.READ_VERIFIED)

    def add_chunk(self, job_id: str, reading_pass: int, chunk: ChunkRecord) -> None:
        """A chunk of a pass is read and its sealed bytes are on the disk."""
        with self.events.change() as sql:
            add_chunk(sql, self._mac, job_id, reading_pass, chunk)

    def forget_chunks(self, job_id: str) -> None:
        """Start the job's reading over."""
        with self.events.change() as sql:
            sql.execute("DELETE FROM read_chunk WHERE job_id=?", (job_id,))

    def refuse_second_write(self) -> None:
        """Raises PitboxError WRITE_OPEN while a write is open."""
        self._refuse_second_write(None)

    def open_flash(self, job_id: str, write_order: str) -> int:
        """The intent of a write, durable before anything reaches the ECU; returns its id.

        Raises PitboxError while another write is open.
        """
        with self.events.change() as sql:
            flash_id = self._open(sql, job_id, write_order)
            self._move(sql, job_id, JobState.FLASHING)
            self._changed(sql, flash_id)
        try:
            self._record.remember()
        except StorageError:
            with suppress(StorageError):
                self.close_flash(flash_id, job_id, JobState.READ_VERIFIED, NOTHING_ERASED)
            raise
        return flash_id

    def open_rescue(self, job: JobRecord, write_order: str) -> int:
        """A new job with an interrupted write, which takes up one whose journal is lost; returns its id.

        One commit for all of it: a power cut leaves a write to be recovered, or nothing at all. Raises
        PitboxError while another write is open.
        """
        with self.events.change() as sql:
            self._create(sql, job)
            flash_id = self._open(sql, job.id, write_order)
            self._step(sql, flash_id, Step.RESCUE, None, None)
            self._step(sql, flash_id, Step.INTERRUPTED, None, "the journal of the write is lost")
            self._changed(sql, flash_id)
        try:
            self._record.remember()
        except StorageError:
            with suppress(StorageError):
                self._withdraw(job.id, flash_id)
            raise
        return flash_id

    def resume_flash(self, flash: FlashRecord, write_order: str) -> int:
        """Take an interrupted write up again, perhaps with another target (the original); returns its id."""
        with self.events.change() as sql:
            self._refuse_second_write(flash.id)
            before = self._flashes("WHERE id=?", flash.id)[0].write_order
            sql.execute(
                "UPDATE flash SET write_order=?, closed_at=NULL, outcome=NULL WHERE id=?",
                (write_order, flash.id),
            )
            step = Step.RESUMED if write_order == before else Step.RETARGETED
            self._step(sql, flash.id, step, None, None)
            self._move(sql, flash.job_id, JobState.RECOVERING)
            self._changed(sql, flash.id)
        self._record.remember()
        return flash.id

    def step(self, flash_id: int, step: Step, block: Start | None = None, detail: str | None = None) -> None:
        """One more step of a write."""
        with self.events.change() as sql:
            self._step(sql, flash_id, step, block, detail)

    def next_block(self, flash_id: int, finished: Start | None, *blocks: Start) -> None:
        """The block before is programmed, and these are about to be erased: one commit for all.

        What is erased first is also put into the record of writes.
        """
        first = flash_id not in self._touched
        with self.events.change() as sql:
            if finished is not None:
                self._step(sql, flash_id, Step.PROGRAMMED, finished, None)
            for block in blocks:
                self._step(sql, flash_id, Step.ERASE_INTENT, block, None)
            if first:
                self._changed(sql, flash_id)
        if first:
            self._record.remember()
            self._touched.add(flash_id)

    def move_with_step(
        self, flash_id: int, step: Step, job_id: str, state: JobState, detail: str | None
    ) -> None:
        """A step and the job's new state in one commit."""
        with self.events.change() as sql:
            self._step(sql, flash_id, step, None, detail)
            self._move(sql, job_id, state)

    def close_flash(self, flash_id: int, job_id: str, state: JobState, outcome: str) -> None:
        """The write is over: nothing is left to be recovered."""
        with self.events.change() as sql:
            self._step(sql, flash_id, Step.CLOSED, None, outcome)
            sql.execute(
                "UPDATE flash SET closed_at=?, outcome=? WHERE id=?", (self._now(), outcome, flash_id)
            )
            self._move(sql, job_id, state)
            self._changed(sql, flash_id)
        self._record.follow()  # what is proven stays proven

    def set_aside(self, flash_id: int, word: str) -> None:
        """An interrupted write no longer stands in another car's way; it stays to be recovered."""
        with self.events.change() as sql:
            self._step(sql, flash_id, Step.SET_ASIDE, None, word)
            sql.execute(
                "UPDATE flash SET closed_at=?, outcome=? WHERE id=?", (self._now(), SET_ASIDE, flash_id)
            )
            self._changed(sql, flash_id)
        self._record.follow()  # the word is durable

    def _changed(self, sql: sqlite3.Connection, flash_id: int) -> None:
        """A write was opened, first erased, retargeted or closed: the record must follow this commit."""
        seal_rows(sql, self._mac, "flash", "id=?", flash_id)
        self._record.changed(sql)

    def _create(self, sql: sqlite3.Connection, job: JobRecord) -> None:
        if self._jobs("WHERE id=?", job.id):
            raise EngineError("JOB_EXISTS", job=job.id)
        add_job(sql, self._mac, job)

    def _open(self, sql: sqlite3.Connection, job_id: str, write_order: str) -> int:
        """A row for the write and its first step; `_changed` seals the row."""
        self._refuse_second_write(None)
        cursor = sql.execute(
            "INSERT INTO flash(job_id, write_order, opened_at) VALUES(?,?,?)",
            (job_id, write_order, self._now()),
        )
        flash_id = int(cursor.lastrowid or 0)
        self._step(sql, flash_id, Step.INTENT, None, None)
        return flash_id

    def _withdraw(self, job_id: str, flash_id: int) -> None:
        """Nothing is kept of a job whose only write was never on record: nothing has reached the ECU."""
        with self.events.change() as sql:
            sql.execute("DELETE FROM flash_step WHERE flash_id=?", (flash_id,))
            sql.execute("DELETE FROM flash WHERE id=?", (flash_id,))
            sql.execute("DELETE FROM job WHERE id=?", (job_id,))
            self._record.changed(sql)

    def _note(self, sql: sqlite3.Connection, job_id: str, facts: dict[str, object]) -> None:
        detail = {**self.job(job_id).detail, **facts}
        sql.execute("UPDATE job SET detail=? WHERE id=?", (json.dumps(detail), job_id))
        self._seal_job(sql, job_id)

    def _seal_job(self, sql: sqlite3.Connection, job_id: str) -> None:
        seal_rows(sql, self._mac, "job", "id=?", job_id)

    def _refuse_second_write(self, own_id: int | None) -> None:
        for other in self.open_flashes():
            if other.id != own_id:
                raise EngineError("WRITE_OPEN", other=other.job_id)

    def _move(self, sql: sqlite3.Connection, job_id: str, state: JobState) -> None:
        old = self.job(job_id).state
        if not may_move(old, state):
            raise EngineError("JOB_STATE", job=job_id, old=old.value, new=state.value)
        sql.execute("UPDATE job SET state=?, updated_at=? WHERE id=?", (state.value, self._now(), job_id))
        self._seal_job(sql, job_id)

    def _step(
        self, sql: sqlite3.Connection, flash_id: int, step: Step, block: Start | None, detail: str | None
    ) -> None:
        add_step(sql, self._mac, self._now(), flash_id, step, block, detail)
