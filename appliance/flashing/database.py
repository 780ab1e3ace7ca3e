"""The journal's SQLite file: opening it, checking it, and committing so that a power cut loses nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.contract.errors import PitboxError
from appliance.vault.durable import sync_directory

_APPLICATION_ID = 0x50_49_54_42
"""`PITB`: tells our file from any other SQLite file, and from an emptied one."""
_VERSION = 1
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
CREATE TABLE job(
    id TEXT PRIMARY KEY, state TEXT NOT NULL, definition_id TEXT, definition_sha256 TEXT, method TEXT,
    identity TEXT, original_file TEXT, detail TEXT NOT NULL DEFAULT '{{}}',
    created_at REAL NOT NULL, updated_at REAL NOT NULL) STRICT;
CREATE TABLE read_chunk(
    job_id TEXT NOT NULL, pass INTEGER NOT NULL, address INTEGER NOT NULL, pt_sha256 TEXT NOT NULL,
    segment TEXT NOT NULL, voted INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY(job_id, pass, address)) STRICT;
CREATE TABLE flash(
    id INTEGER PRIMARY KEY, job_id TEXT NOT NULL, write_order TEXT NOT NULL, order_sha256 TEXT NOT NULL,
    opened_at REAL NOT NULL, closed_at REAL, outcome TEXT) STRICT;
CREATE UNIQUE INDEX one_open_flash ON flash(closed_at IS NULL) WHERE closed_at IS NULL;
CREATE TABLE flash_step(
    flash_id INTEGER NOT NULL, seq INTEGER PRIMARY KEY, step TEXT NOT NULL, block_start INTEGER,
    at REAL NOT NULL, detail TEXT) STRICT;
"""
_STORAGE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""Result codes that blame the disk; every other one blames the file, for our statements do not vary."""


class JournalDamagedError(PitboxError):
    """The journal cannot be read; it is left as it is."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            "JOURNAL_DAMAGED",
            f"the journal {path} cannot be read: {why}",
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
            do_now="Free some space or repair the storage; then run the same command again. Nothing already "
            "recorded is lost.",
            log=str(path),
        )


class Database:
    """One connection in WAL mode with synchronous=FULL: a committed transaction survives a power cut."""

    def __init__(self, path: Path) -> None:
        """Open the file, made on first use. Raises JournalDamagedError (file untouched) or StorageError."""
        self._path = path
        with self._translated():
            if not path.exists():
                self._create()
            self._check()
            self._sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._sql.execute("PRAGMA synchronous=FULL")
        self._sql.row_factory = sqlite3.Row

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, durable on return. Raises StorageError, JournalDamagedError."""
        with self._translated():
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield self._sql
                self._sql.execute("COMMIT")
            finally:
                if self._sql.in_transaction:
                    self._sql.execute("ROLLBACK")

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Result of a SELECT. Raises StorageError, JournalDamagedError."""
        with self._translated():
            return self._sql.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._sql.close()

    def _create(self) -> None:
        """Appear whole or not at all: a journal is never half made, so an empty one is damage."""
        if _beside(self._path, "-wal").exists():
            raise JournalDamagedError(self._path, "the file is gone, its write-ahead log is not")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        building = _beside(self._path, ".new")
        for leftover in (building, _beside(building, "-wal"), _beside(building, "-shm")):
            leftover.unlink(missing_ok=True)
        sql = sqlite3.connect(building, isolation_level=None)
        try:
            sql.execute("PRAGMA journal_mode=WAL")
            sql.execute("PRAGMA synchronous=FULL")
            sql.executescript(_SCHEMA)
        finally:
            sql.close()
        building.replace(self._path)
        sync_directory(self._path.parent)

    def _check(self) -> None:
        """Look through a connection that cannot write, so that a damaged file stays as it is."""
        sql = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            marks = [
                sql.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            ]
            if marks != [_APPLICATION_ID, _VERSION]:
                raise JournalDamagedError(self._path, "it is not a journal of this version")
            verdict = sql.execute("PRAGMA integrity_check").fetchone()[0]
            if verdict != "ok":
                raise JournalDamagedError(self._path, str(verdict))
        finally:
            sql.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's and the disk's errors as the two that a technician can act on."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
            kind = StorageError if code in _STORAGE_CODES else JournalDamagedError
            raise kind(self._path, str(error)) from error
        except UnicodeError as error:
            raise JournalDamagedError(self._path, str(error)) from error
        except OSError as error:
            raise StorageError(self._path, error.strerror or str(error)) from error


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
