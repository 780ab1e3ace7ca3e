"""The journal's SQLite file: opening it, checking it, and committing so that a power cut loses nothing."""

from __future__ import annotations

import sqlite3
import stat
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
from appliance.flashing.row_sum import TRIGGERS, RowSum
from appliance.flashing.rows import refuse_strange, seal_rows
from appliance.flashing.tables import (
    APPLICATION_ID,
    SCHEMA,
    SEALED_TABLES,
    VERSION,
    migrate,
    refuse_strange_schema,
)
from appliance.vault.authentic import Mac
from appliance.vault.durable import FILE_MODE, sync_directory

_CACHE_KIB = 256
"""Of pages; SQLite would keep 2 MB of a journal that is mostly written."""
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


class JournalDamagedError(EngineError):
    """The journal cannot be read; it is left as it is."""

    def __init__(self, path: Path, why: Phrase) -> None:
        super().__init__("JOURNAL_DAMAGED", path=str(path), why=why, log=str(path))


class JournalNewerError(EngineError):
    """The journal is whole, and a newer build wrote it."""

    def __init__(self, path: Path, why: Phrase) -> None:
        super().__init__("JOURNAL_NEWER", path=str(path), why=why, log=str(path))


class StorageError(EngineError):
    """The disk did not take what had to be durable."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__("STORAGE_FAILED", path=str(path), technical_text=why, log=str(path))


class Database:
    """One connection in WAL mode with synchronous=FULL: a committed transaction survives a power cut.

    A connection of Python's is part of a cycle and stays open when dropped; this one closes with its owner.
    """

    def __init__(self, path: Path, mac: Mac) -> None:
        """Open the file, made on first use, brought to the present form where it is of an earlier one.

        Raises JournalDamagedError or JournalNewerError, both with the file untouched, or StorageError.
        """
        self._path = path
        self._mac = mac
        self._sum = RowSum(mac)
        with self._translated():
            self._refuse_other_kinds()
            if not path.exists():
                self._create()
            version = self._check()
            self._sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._sql.close).atexit = False
            self._sql.row_factory = sqlite3.Row
            self._sql.execute("PRAGMA synchronous=FULL")
            self._sql.execute("PRAGMA temp_store=MEMORY")
            self._sql.execute("PRAGMA recursive_triggers=ON")  # a row that is replaced is one that goes
            self._sql.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        if version < VERSION:
            self._migrate(version)
        self.watch(TRIGGERS, row_changed=(2, self._sum.row_changed))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, durable on return. Raises StorageError, JournalDamagedError."""
        with self._translated():
            self._sql.execute("BEGIN IMMEDIATE")
            self._sum.begin()
            try:
                yield self._sql
                self._sum.settle(self._sql)
                self._sql.execute("COMMIT")
            finally:
                if self._sql.in_transaction:
                    self._sql.execute("ROLLBACK")

    def is_whole(self) -> bool:
        """Whether no row was put back or taken out. Raises StorageError, JournalDamagedError."""
        with self._translated():
            return self._sum.is_whole(self._sql)

    def take_as_whole(self, sql: sqlite3.Connection) -> None:
        """Go on with the rows that there are, in the transaction that is open."""
        self._sum.restate(sql)

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Result of a SELECT. Raises StorageError, JournalDamagedError."""
        with self._translated():
            return self._sql.execute(query, values).fetchall()

    def watch(self, triggers: str, **functions: tuple[int, Callable[..., None]]) -> None:
        """Have functions, each with the number of its arguments, called by triggers of this connection alone.

        They are no part of the file. Raises StorageError, JournalDamagedError.
        """
        with self._translated():
            for name, (arguments, function) in functions.items():
                self._sql.create_function(name, arguments, function)
            self._sql.executescript(triggers)

    def close(self) -> None:
        """Close the connection."""
        self._sql.close()

    def _create(self) -> None:
        """Appear whole or not at all: a journal is never half made, so an empty one is damage."""
        if _beside(self._path, "-wal").exists():
            raise JournalDamagedError(self._path, phrase("journal.log_alone"))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        building = _beside(self._path, ".new")
        for leftover in (building, _beside(building, "-wal"), _beside(building, "-shm")):
            leftover.unlink(missing_ok=True)
        sql = sqlite3.connect(building, isolation_level=None)
        try:
            sql.execute("PRAGMA journal_mode=WAL")
            sql.execute("PRAGMA synchronous=FULL")
            sql.executescript(SCHEMA)
            sql.row_factory = sqlite3.Row
            for table in SEALED_TABLES:
                seal_rows(sql, self._mac, table)
        finally:
            sql.close()
        building.replace(self._path)
        sync_directory(self._path.parent)

    def _refuse_other_kinds(self) -> None:
        """A pipe under one of these names would be waited for, without end; a link would lead elsewhere."""
        for path in (self._path, _beside(self._path, "-wal"), _beside(self._path, "-shm")):
            if path.is_symlink():
                raise JournalDamagedError(self._path, phrase("journal.link", file=path.name))
            if not path.exists():
                continue
            if not stat.S_ISREG(path.stat().st_mode):
                raise JournalDamagedError(self._path, phrase("journal.no_file", file=path.name))
            path.chmod(FILE_MODE)

    def _check(self) -> int:
        """The version, looked up through a connection that cannot write: a damaged file stays as it is."""
        sql = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
        sql.row_factory = sqlite3.Row
        try:
            application, version = (
                sql.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
            if application != APPLICATION_ID or version < 1:
                raise JournalDamagedError(self._path, phrase("journal.none"))
            self._refuse_torn(sql.execute("PRAGMA page_size").fetchone()[0])
            verdict = sql.execute("PRAGMA integrity_check").fetchone()[0]
            if verdict != "ok":
                raise JournalDamagedError(self._path, phrase("malformed", technical_text=str(verdict)))
            if version > VERSION:
                raise JournalNewerError(self._path, phrase("newer.format", version=version, newest=VERSION))
            if version == VERSION:
                self._check_rows(sql)
            return int(version)
        finally:
            sql.close()

    def _refuse_torn(self, page_bytes: int) -> None:
        """SQLite takes a last page that is cut short for whole; only a log beside it can mend one."""
        log = _beside(self._path, "-wal")
        if self._path.stat().st_size % page_bytes and not (log.exists() and log.stat().st_size):
            raise JournalDamagedError(self._path, phrase("journal.torn"))

    def _check_rows(self, sql: sqlite3.Connection) -> None:
        try:
            refuse_strange_schema(sql)
            for table in SEALED_TABLES:
                for row in sql.execute(f"SELECT * FROM {table}"):
                    refuse_strange(table, row, self._mac)
            if sql.execute("SELECT count(*) FROM meta").fetchone()[0] != 1:
                raise ValueError("its count of changes is missing")
        except (ValueError, LookupError) as error:
            raise JournalDamagedError(self._path, phrase("malformed", technical_text=str(error))) from error

    def _migrate(self, version: int) -> None:
        try:
            with self.transaction() as sql:
                migrate(sql, version, self._mac)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self.close()
            raise JournalDamagedError(
                self._path, phrase("journal.senseless", technical_text=str(error))
            ) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's and the disk's errors as the two that a technician can act on."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
            if code in _STORAGE_CODES:
                raise StorageError(self._path, str(error)) from error
            raise JournalDamagedError(self._path, phrase("malformed", technical_text=str(error))) from error
        except UnicodeError as error:
            raise JournalDamagedError(self._path, phrase("malformed", technical_text=str(error))) from error
        except OSError as error:
            raise StorageError(self._path, error.strerror or str(error)) from error


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
