"""At the start: journal against the record of its writes. The one that saw more changes is right.

Every change is committed to the journal first and to the record next, and nothing is done to the ECU before
both are durable. So a record that lags is what a power cut between the two leaves; a journal that lags has
lost commits, or is an older copy.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

from appliance.contract.alarm_texts import Trouble, trouble
from appliance.contract.jobs import ECU_IN_DANGER, JobState
from appliance.contract.places import Start
from appliance.flashing.marks import NEEDS_BENCH, SET_ASIDE, Mark, Marks
from appliance.flashing.rows import Step, add_step, block_of, seal_rows
from appliance.vault.authentic import Mac

_CLOSED_STATES = {
    "done": JobState.DONE,
    "restored": JobState.RESTORED,
    NEEDS_BENCH: JobState.NEEDS_BENCH,
    SET_ASIDE: JobState.INTERRUPTED,
}
_FORGOTTEN = {NEEDS_BENCH: "forgot_bench", SET_ASIDE: "forgot_aside"}
_FORGOTTEN_ERASED = {NEEDS_BENCH: "forgot_bench_erased", SET_ASIDE: "forgot_aside_erased"}


def serial_of(sql: sqlite3.Connection) -> int:
    """How often the writes of this journal have changed."""
    return int(sql.execute("SELECT serial FROM meta").fetchone()[0])


def marks_of(sql: sqlite3.Connection) -> Marks:
    """The record that belongs to a journal."""
    writes = _all_marks(sql)
    newest = max((mark.flash_id for mark in writes), default=0)
    kept = tuple(mark for mark in writes if mark.in_danger or mark.flash_id == newest)
    return Marks(serial_of(sql), kept)


_WITH_JOBS = """
SELECT flash.*, job.definition_id, job.definition_sha256, job.method, job.identity, job.original_file,
       job.detail
FROM flash LEFT JOIN job ON job.id = flash.job_id ORDER BY flash.id
"""


def _all_marks(sql: sqlite3.Connection) -> tuple[Mark, ...]:
    return tuple(_mark(sql, row) for row in sql.execute(_WITH_JOBS).fetchall())


def _mark(sql: sqlite3.Connection, row: sqlite3.Row) -> Mark:
    erased = sql.execute(
        "SELECT memory, block_start FROM flash_step WHERE flash_id=? AND step=? ORDER BY seq LIMIT 1",
        (row["id"], Step.ERASE_INTENT.value),
    ).fetchone()
    rescue = sql.execute(
        "SELECT 1 FROM flash_step WHERE flash_id=? AND step=?", (row["id"], Step.RESCUE.value)
    ).fetchone()
    return Mark(
        row["id"],
        row["job_id"],
        row["definition_id"] or "",
        row["definition_sha256"] or "",
        row["method"] or "",
        row["identity"],
        row["original_file"],
        row["write_order"],
        row["opened_at"],
        None if erased is None else block_of(erased),
        row["outcome"],
        rescue is not None,
        _access_in(row["detail"]),
    )


def _access_in(detail: str | None) -> str | None:
    """None where it cannot be told: a row that this box did not write is refused by whoever reads the job."""
    try:
        known = json.loads(detail or "{}")
    except ValueError:
        return None
    name = known.get("access") if isinstance(known, dict) else None
    return name if isinstance(name, str) else None


class Reconciler:
    """Brings a journal to what its record says, inside the caller's transaction."""

    def __init__(self, sql: sqlite3.Connection, mac: Mac, now: float) -> None:
        self._sql = sql
        self._mac = mac
        self._now = now

    def apply(self, marks: Marks) -> tuple[Trouble, ...]:
        """Make the journal agree; what it had forgotten or got wrong."""
        told = tuple(self._differences(marks))
        if marks.serial > serial_of(self._sql):
            self._sql.execute("UPDATE meta SET serial=?", (marks.serial,))
            seal_rows(self._sql, self._mac, "meta")
            told = told or (trouble("commits_lost"),)
        return told

    def _differences(self, marks: Marks) -> Iterator[Trouble]:
        known = {(mark.flash_id, mark.job_id): mark for mark in _all_marks(self._sql)}
        for stale in [
            mark for key, mark in known.items() if key not in _keys(marks) and mark.outcome is None
        ]:
            self._close(stale, "over, as the record of writes says")
            yield trouble("forgot_end", job=stale.job_id)
        for kept in sorted(marks.writes, key=lambda one: one.outcome is None):  # one at most is ever open
            now = known.get((kept.flash_id, kept.job_id))
            named = kept.access is not None or now is None  # an older record has none
            mark = kept if named or now is None else replace(kept, access=now.access)
            if mark.in_danger and now != mark:
                yield self._restore(mark, now)
            elif not mark.in_danger and (now is None or now.outcome != mark.outcome):
                if now is None:
                    self._restore(mark, now)
                else:
                    self._close(mark, str(mark.outcome))
                yield trouble("forgot_outcome", job=mark.job_id, outcome=str(mark.outcome))

    def _restore(self, mark: Mark, now: Mark | None) -> Trouble:
        self._restore_job(mark)
        flash_id = self._restore_flash(mark, now)
        self._restore_steps(mark, flash_id)
        if mark.first_erased is not None:
            return trouble(_FORGOTTEN_ERASED.get(mark.outcome or "", "forgot_erased"), job=mark.job_id)
        return trouble(_FORGOTTEN.get(mark.outcome or "", "forgot_open"), job=mark.job_id)

    def _restore_job(self, mark: Mark) -> None:
        state = _CLOSED_STATES.get(mark.outcome or "", JobState.READ_VERIFIED)
        if mark.outcome is None:
            state = JobState.INTERRUPTED
        found = self._sql.execute("SELECT state FROM job WHERE id=?", (mark.job_id,)).fetchone()
        if found is None:
            self._sql.execute(
                "INSERT INTO job(id, state, created_at, updated_at) VALUES(?,?,?,?)",
                (mark.job_id, state.value, mark.opened_at, self._now),
            )
        elif mark.outcome is None and JobState(found["state"]) in ECU_IN_DANGER - {JobState.NEEDS_BENCH}:
            state = JobState(found["state"])
        self._sql.execute(
            "UPDATE job SET state=?, definition_id=?, definition_sha256=?, method=?, identity=?, "
            "original_file=? WHERE id=?",
            (
                state.value,
                mark.definition_id,
                mark.definition_sha256,
                mark.method,
                mark.identity,
                mark.original_file,
                mark.job_id,
            ),
        )
        if mark.access is not None:
            self._sql.execute(
                "UPDATE job SET detail=? WHERE id=?", (self._with_access(mark, mark.access), mark.job_id)
            )
        seal_rows(self._sql, self._mac, "job", "id=?", mark.job_id)

    def _with_access(self, mark: Mark, access: str) -> str:
        """The job's detail, which may not be whole any more, with the access that its write takes."""
        (detail,) = self._sql.execute("SELECT detail FROM job WHERE id=?", (mark.job_id,)).fetchone()
        try:
            known = json.loads(detail or "{}")
        except ValueError:
            known = {}
        return json.dumps({**(known if isinstance(known, dict) else {}), "access": access})

    def _restore_flash(self, mark: Mark, now: Mark | None) -> int:
        """The write as it was; under another number where a journal made anew has given its own away."""
        flash_id = mark.flash_id
        if now is None:
            if self._sql.execute("SELECT 1 FROM flash WHERE id=?", (flash_id,)).fetchone():
                flash_id = self._next_id()
            self._sql.execute(
                "INSERT INTO flash(id, job_id, write_order, opened_at, closed_at) VALUES(?,?,?,?,?)",
                (flash_id, mark.job_id, mark.write_order, mark.opened_at, self._now),
            )
        closed_at = None if mark.outcome is None else self._now
        self._sql.execute(
            "UPDATE flash SET write_order=?, closed_at=?, outcome=? WHERE id=?",
            (mark.write_order, closed_at, mark.outcome, flash_id),
        )
        seal_rows(self._sql, self._mac, "flash", "id=?", flash_id)
        return flash_id

    def _next_id(self) -> int:
        return int(self._sql.execute("SELECT max(id) FROM flash").fetchone()[0]) + 1

    def _restore_steps(self, mark: Mark, flash_id: int) -> None:
        known = {
            row["step"]
            for row in self._sql.execute("SELECT step FROM flash_step WHERE flash_id=?", (flash_id,))
        }
        if Step.INTENT.value not in known:
            self._step(flash_id, Step.INTENT, None, None)
        if mark.rescue and Step.RESCUE.value not in known:
            self._step(flash_id, Step.RESCUE, None, None)
        if mark.first_erased is not None and Step.ERASE_INTENT.value not in known:
            self._step(flash_id, Step.ERASE_INTENT, mark.first_erased, None)
        ended = Step.INTERRUPTED if mark.in_danger else Step.CLOSED
        self._step(flash_id, ended, None, "the journal had forgotten it")

    def _close(self, mark: Mark, outcome: str) -> None:
        state = _CLOSED_STATES.get(outcome, JobState.READ_VERIFIED)
        self._sql.execute(
            "UPDATE flash SET closed_at=?, outcome=? WHERE id=?", (self._now, outcome, mark.flash_id)
        )
        self._sql.execute("UPDATE job SET state=? WHERE id=?", (state.value, mark.job_id))
        self._step(mark.flash_id, Step.CLOSED, None, outcome)
        seal_rows(self._sql, self._mac, "flash", "id=?", mark.flash_id)
        seal_rows(self._sql, self._mac, "job", "id=?", mark.job_id)

    def _step(self, flash_id: int, step: Step, block: Start | None, detail: str | None) -> None:
        add_step(self._sql, self._mac, self._now, flash_id, step, block, detail)


def _keys(marks: Marks) -> set[tuple[int, str]]:
    return {(mark.flash_id, mark.job_id) for mark in marks.writes}
