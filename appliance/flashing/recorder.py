"""What happens, as numbered rows of the journal, written with the change they tell of and told once they are.

Moves of a job and steps of a write become events by themselves, whatever statement made them: triggers of the
connection see to it. Progress is told at once and written with whatever is committed next, in steps of 5 %:
it costs no commit of its own.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from appliance.contract.actors import BOX, Actor, actor_of
from appliance.contract.events import (
    DroppedEvent,
    Event,
    Heard,
    ProgressEvent,
    Recorded,
    StateEvent,
    StepEvent,
)
from appliance.flashing.database import Database, JournalDamagedError, StorageError
from appliance.flashing.rows import refuse_strange, seal_of
from appliance.vault.authentic import Mac

UNWRITTEN = 1024
"""So many numbers may be told behind the last one written. Each life of a box begins that far behind the last
number it finds, so that none comes again."""
MOST_EVENTS = 50_000
"""Older ones make room at the end of an operation; a box that never ends one keeps `_SLACK` more."""
_SLACK = 5_000
_MARKS = 20
"""Progress is written so many times per phase."""
_WATCH = """
CREATE TEMP TRIGGER opened AFTER INSERT ON main.job BEGIN SELECT moved(NEW.id, NULL, NEW.state); END;
CREATE TEMP TRIGGER moved AFTER UPDATE OF state ON main.job WHEN NEW.state IS NOT OLD.state
    BEGIN SELECT moved(NEW.id, OLD.state, NEW.state); END;
CREATE TEMP TRIGGER withdrawn AFTER DELETE ON main.job
    BEGIN SELECT moved(OLD.id, OLD.state, 'cancelled'); END;
CREATE TEMP TRIGGER stepped AFTER INSERT ON main.flash_step BEGIN
    SELECT stepped((SELECT job_id FROM main.flash WHERE id = NEW.flash_id), NEW.flash_id, NEW.step,
                   NEW.memory, NEW.block_start, NEW.detail);
END;
"""
_Row = tuple[int, float, str, str, str, str]
_actor: ContextVar[Actor] = ContextVar("actor", default=BOX)
log = logging.getLogger("pitbox.journal")


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """What this task and those it starts do is told as asked for by `actor`."""
    before = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(before)


def asking() -> Actor:
    """Who asked for what this task does."""
    return _actor.get()


class Recorder:
    """The events of one journal. Used by one thread alone."""

    def __init__(self, db: Database, mac: Mac, now: Callable[[], float], heard: Heard) -> None:
        """Raises StorageError, JournalDamagedError."""
        self._db = db
        self._mac = mac
        self._now = now
        self._heard = heard
        self._fresh = _Watched()
        self._waiting: list[_Row] = []
        """Of events told, and not written yet."""
        self._marks = _Marks()
        (found,) = db.rows("SELECT max(seq) AS last, count(*) AS events FROM event")
        self._count: int = found["events"]
        self._next = 1 if found["last"] is None else int(found["last"]) + UNWRITTEN
        self._written = self._next - 1
        self._sure = False
        """Whether this life has written a number of its own."""
        db.watch(_WATCH, moved=(3, self._fresh.on_move), stepped=(6, self._fresh.on_step))

    @property
    def head(self) -> int:
        """The highest number given away, in this life or any before."""
        return self._next - 1

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction whose events are written with it, and told once it is durable.

        Raises StorageError, JournalDamagedError, and then nothing of it has happened.
        """
        self._fresh.events.clear()
        with self._db.transaction() as sql:
            yield sql
            if self._count > MOST_EVENTS + _SLACK:
                self._drop(sql)
            told = [self._numbered(event) for event in self._fresh.events]
            rows = [*self._waiting, *map(self._row, told)]
            self._write(sql, rows)
        if rows:
            self._written, self._sure = rows[-1][0], True
            self._count += len(rows)
            self._waiting = []
        for one in told:
            self._heard(one)

    def add(self, event: Event) -> None:
        """One more event of the transaction that is open."""
        self._fresh.events.append(event)

    def tell(self, event: Event) -> None:
        """Something that changes nothing: told in any case, and written at once but for progress.

        A disk that does not take it is no reason to stop: it is written with the next change that succeeds.
        """
        one = self._numbered(event)
        passing = isinstance(event, ProgressEvent)
        crowded = one.seq - self._written >= UNWRITTEN
        urgent = not passing or crowded or not self._sure
        if self._marks.reached(event) or urgent:
            self._waiting.append(self._row(one))
        if urgent and not self._flushed() and crowded:
            self._waiting.pop()
            log.warning("neither told nor written: %s", event)
            return
        self._heard(one)

    def between(self, after: int, until: int, most: int) -> list[dict[str, Any]]:
        """Written events behind `after` up to `until`, in their order, as they are told.

        Raises StorageError, JournalDamagedError.
        """
        query = "SELECT * FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
        return [self._as_told(row) for row in self._db.rows(query, after, until, most)]

    def latest(self, kind: str) -> dict[str, Any] | None:
        """The newest written event of a kind, as it is told. Raises StorageError, JournalDamagedError."""
        rows = self._db.rows("SELECT * FROM event WHERE kind=? ORDER BY seq DESC LIMIT 1", kind)
        return self._as_told(rows[0]) if rows else None

    def make_room(self) -> None:
        """Drop the oldest events of too many. Raises StorageError, JournalDamagedError."""
        if self._count > MOST_EVENTS:
            with self.change() as sql:
                self._drop(sql)

    def _flushed(self) -> bool:
        try:
            with self.change():
                pass
        except (StorageError, JournalDamagedError) as error:
            log.warning("events wait to be written: %s", error.what)
            return False
        return True

    def _numbered(self, event: Event) -> Recorded:
        self._next += 1
        return Recorded(self._next - 1, float(self._now()), _actor.get(), event)

    def _row(self, one: Recorded) -> _Row:
        body = one.event.as_dict()
        kind = str(body.pop("kind"))
        actor, text = str(one.actor), json.dumps(body)
        stated = {"seq": one.seq, "at": one.at, "actor": actor, "kind": kind, "body": text}
        return one.seq, one.at, actor, kind, text, seal_of("event", stated, self._mac)

    def _write(self, sql: sqlite3.Connection, rows: Iterable[_Row]) -> None:
        """A commit that failed may be on the disk all the same: what is there already stays."""
        sql.executemany(
            "INSERT OR IGNORE INTO event(seq, at, actor, kind, body, mac) VALUES(?,?,?,?,?,?)", rows
        )

    def _drop(self, sql: sqlite3.Connection) -> None:
        """Leave room for some more, and say what is gone."""
        self._count = sql.execute("SELECT count(*) FROM event").fetchone()[0]
        last = sql.execute(
            "SELECT seq, at FROM event ORDER BY seq DESC LIMIT 1 OFFSET ?", (MOST_EVENTS - _SLACK,)
        ).fetchone()
        if last is None:
            return
        before = sql.execute("SELECT * FROM event WHERE kind='dropped' ORDER BY seq DESC LIMIT 1").fetchone()
        so_far = self._as_told(before).get("events", 0) if before is not None else 0
        gone = sql.execute("DELETE FROM event WHERE seq <= ?", (last["seq"],)).rowcount
        self._count -= gone
        self.add(DroppedEvent(None, so_far + gone, last["seq"], last["at"]))

    def _as_told(self, row: sqlite3.Row) -> dict[str, Any]:
        """An event that was changed on the disk is told as damaged: nobody is to believe it."""
        place = {"seq": row["seq"], "at": row["at"]}
        try:
            refuse_strange("event", row, self._mac)
            actor = actor_of(row["actor"]).as_dict()
            return {**place, "actor": actor, "kind": row["kind"], **json.loads(row["body"])}
        except ValueError:
            return {**place, "actor": None, "kind": "damaged", "job_id": None}


class _Watched:
    """The events of the transaction that is open; what the connection calls for each change.

    The connection keeps it where Python's collector does not see it: did it lead back to the database, one
    that is dropped would never be closed.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_move(self, job_id: str, before: str | None, state: str) -> None:
        self.events.append(StateEvent(job_id, state, before))

    def on_step(
        self,
        job_id: str | None,
        flash_id: int,
        step: str,
        memory: str | None,
        block_start: int | None,
        detail: str | None,
    ) -> None:
        self.events.append(StepEvent(job_id, flash_id, step, memory, block_start, detail))


class _Marks:
    """Which of all progress is kept: where a phase begins, ends or falls back, and some in between."""

    def __init__(self) -> None:
        self._phase: tuple[object, ...] = ()
        self._done = 0

    def reached(self, event: Event) -> bool:
        """Whether this progress is one to be kept."""
        if not isinstance(event, ProgressEvent):
            return False
        phase, done, total = (
            (event.job_id, event.phase, event.total_bytes),
            event.done_bytes,
            event.total_bytes,
        )
        further = done >= self._done + max(1, total // _MARKS) or done >= total > self._done
        if phase == self._phase and done >= self._done and not further:
            return False
        self._phase, self._done = phase, done
        return True
