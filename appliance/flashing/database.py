"""The journal's SQLite file: opening it, checking it, and committing so that a power cut loses nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.contract.errors import EcuSafety, PitboxError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS job(
    id TEXT PRIMARY KEY, state TEXT NOT NULL, definition_id TEXT, definition_sha256 TEXT, method TEXT,
    identity TEXT, original_file TEXT, detail TEXT NOT NULL DEFAULT '{}',
    created_at REAL NOT NULL, updated_at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS read_chunk(
    job_id TEXT NOT NULL, pass INTEGER NOT NULL, address INTEGER NOT NULL, pt_sha256 TEXT NOT NULL,
    segment TEXT NOT NULL, voted INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY(job_id, pass, address)) STRICT;
CREATE TABLE IF NOT EXISTS flash(
    id INTEGER PRIMARY KEY, job_id TEXT NOT NULL, write_order TEXT NOT NULL, opened_at REAL NOT NULL,
    closed_at REAL, outcome TEXT) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_open_flash ON flash(closed_at IS NULL) WHERE closed_at IS NULL;
CREATE TABLE IF NOT EXISTS flash_step(
    flash_id INTEGER NOT NULL, seq INTEGER PRIMARY KEY, step TEXT NOT NULL, block_start INTEGER,
    at REAL NOT NULL, detail TEXT) STRICT;
"""


class JournalDamagedError(PitboxError):
    """The journal cannot be read; it is left as it is."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            "JOURNAL_DAMAGED",
            f"the journal {path} cannot be read: {why}",
            ecu=EcuSafety.UNKNOWN,
            do_now="Keep the ECU powered. Start the engine once with --set-journal-aside: the damaged file "
            "is kept, sealed originals stay usable, and `pitbox recover` takes the definition by hand.",
            log=str(path),
        )


class StorageError(PitboxError):
    """The disk did not take what had to be durable."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            "STORAGE_FAILED",
            f"{path} cannot be written: {why}",
            ecu=EcuSafety.UNKNOWN,
            do_now="Free some space or repair the storage; then run the same command again. Nothing already "
            "recorded is lost.",
            log=str(path),
        )


class Database:
    """One connection in WAL mode with synchronous=FULL: a committed transaction survives a power cut."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._sql.execute("PRAGMA journal_mode=WAL")
            self._sql.execute("PRAGMA synchronous=FULL")
            verdict = self._sql.execute("PRAGMA quick_check").fetchone()[0]
            if verdict != "ok":
                raise JournalDamagedError(path, str(verdict))
            self._sql.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            raise StorageError(path, str(error)) from error
        except (sqlite3.DatabaseError, OSError) as error:
            raise JournalDamagedError(path, str(error)) from error
        self._sql.row_factory = sqlite3.Row

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, durable on return. Raises StorageError."""
        try:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield self._sql
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise StorageError(self._path, str(error)) from error

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Result of a SELECT."""
        return self._sql.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._sql.close()
