"""What the box was asked to do: by whom, with what, and how it ended, kept over restarts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from appliance.contract.actors import ActorTold, actor_of
from appliance.contract.errors import ErrorTold
from appliance.contract.events import OperationEvent
from appliance.contract.results import Result
from appliance.contract.told import OperationTold
from appliance.flashing.database import Database
from appliance.flashing.earlier_previews import preview_of
from appliance.flashing.recorder import Recorder, asking
from appliance.flashing.rows import refuse_strange, seal_rows
from appliance.vault.authentic import Mac

MOST_OPERATIONS = 500
RUNNING = "running"
INTERRUPTED = "interrupted"
"""The box stopped without a word."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known of an operation when it begins."""

    id: str
    verb: str
    job_id: str | None
    parameters_sha256: str


class OperationLog:
    """The operations of one journal."""

    def __init__(self, db: Database, recorder: Recorder, mac: Mac, now: Callable[[], float]) -> None:
        self._db = db
        self._recorder = recorder
        self._mac = mac
        self._now = now

    def begin(self, one: Beginning) -> None:
        """Asked for by whoever acts. Raises StorageError, JournalDamagedError."""
        with self._recorder.change() as sql:
            self.add(sql, one)

    def add(self, sql: sqlite3.Connection, one: Beginning) -> None:
        """Its beginning, in the transaction that is open."""
        cursor = sql.execute(
            "INSERT INTO operation(id, verb, job_id, actor, parameters_sha256, state, began_at) "
            "VALUES(?,?,?,?,?,?,?)",
            (one.id, one.verb, one.job_id, str(asking()), one.parameters_sha256, RUNNING, self._now()),
        )
        sql.execute("DELETE FROM operation WHERE number <= ?", ((cursor.lastrowid or 0) - MOST_OPERATIONS,))
        self._changed(sql, one.id)

    def end(
        self,
        operation_id: str,
        state: str,
        job_id: str | None = None,
        result: Result | None = None,
        error: ErrorTold | None = None,
    ) -> None:
        """How it ended; `job_id` where it opened a job. Raises StorageError, JournalDamagedError."""
        with self._recorder.change() as sql:
            sql.execute(
                "UPDATE operation SET state=?, job_id=coalesce(?, job_id), result=?, error=?, ended_at=? "
                "WHERE id=?",
                (state, job_id, _json(result), _json(error), self._now(), operation_id),
            )
            self._changed(sql, operation_id)

    def interrupt_running(self) -> None:
        """At the start of the box nothing runs: what did was interrupted. Raises StorageError."""
        for row in self._db.rows("SELECT id FROM operation WHERE state=?", RUNNING):
            self.end(row["id"], INTERRUPTED)

    def all(self) -> list[OperationTold]:
        """Every one that is kept, newest first. Raises StorageError, JournalDamagedError."""
        return [self._as_told(row) for row in self._db.rows("SELECT * FROM operation ORDER BY number DESC")]

    def get(self, operation_id: str) -> OperationTold | None:
        """One of them. Raises StorageError, JournalDamagedError."""
        found = self._db.rows("SELECT * FROM operation WHERE id=?", operation_id)
        return self._as_told(found[0]) if found else None

    def _changed(self, sql: sqlite3.Connection, operation_id: str) -> None:
        seal_rows(sql, self._mac, "operation", "id=?", operation_id)
        row = sql.execute("SELECT * FROM operation WHERE id=?", (operation_id,)).fetchone()
        if row is None:  # its beginning could not be written
            return
        error = None if row["error"] is None else json.loads(row["error"])
        self._recorder.add(
            OperationEvent(
                row["job_id"], row["id"], row["verb"], row["state"], row["parameters_sha256"], error
            )
        )

    def _as_told(self, row: sqlite3.Row) -> OperationTold:
        """One that was changed on the disk says so instead of how it ended."""
        told = OperationTold(
            id=row["id"],
            verb=row["verb"],
            job=row["job_id"],
            began_at=row["began_at"],
            actor=None,
            state="damaged",
            result=None,
            error=None,
        )
        try:
            refuse_strange("operation", row, self._mac)
            actor = actor_of(row["actor"])
            whole = OperationTold(
                id=row["id"],
                verb=row["verb"],
                job=row["job_id"],
                began_at=row["began_at"],
                actor=ActorTold(role=actor.role, uid=actor.uid),
                parameters_sha256=row["parameters_sha256"],
                state=row["state"],
                result=_result_of(row),
                error=None if row["error"] is None else json.loads(row["error"]),
                ended_at=row["ended_at"],
            )
        except (ValueError, LookupError, TypeError):
            return told
        return whole


def _result_of(row: sqlite3.Row) -> Result | None:
    """In the form of today. Raises LookupError, TypeError, ValueError for what makes no sense."""
    if row["result"] is None:
        return None
    stored = json.loads(row["result"])
    return preview_of(stored) if row["verb"] == "preview" else cast(Result, stored)


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)
