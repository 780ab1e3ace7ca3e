"""What all rows of the journal are together: so that one which was put back, or taken out, is missed.

A row's keyed hash says that this box wrote it, and it says so of what the row was an hour ago as well. So the
journal also states the sum over its rows. It changes with every commit, and a row that alone goes back to
what it was no longer fits it. Whoever puts the sum back too needs all the rows of that moment; then the count
of changes beside it lags behind the record of writes.
"""

from __future__ import annotations

import sqlite3

from appliance.flashing.rows import seal_rows
from appliance.vault.authentic import Mac

_TABLES = ("job", "read_chunk", "flash", "flash_step", "operation", "proposal", "consent")
"""Events are many, only tell what happened, and are never changed."""
_MODULUS = 1 << 256
TRIGGERS = "".join(
    f"""
CREATE TEMP TRIGGER added_{table} AFTER INSERT ON main.{table} WHEN NEW.mac <> ''
    BEGIN SELECT row_changed('', NEW.mac); END;
CREATE TEMP TRIGGER changed_{table} AFTER UPDATE OF mac ON main.{table} WHEN NEW.mac <> OLD.mac
    BEGIN SELECT row_changed(OLD.mac, NEW.mac); END;
CREATE TEMP TRIGGER removed_{table} AFTER DELETE ON main.{table} WHEN OLD.mac <> ''
    BEGIN SELECT row_changed(OLD.mac, ''); END;
"""
    for table in _TABLES
)
"""Of one connection, and no part of the file. A row is counted by its keyed hash, from when it has one."""


class RowSum:
    """Keeps the sum in step with the rows: what a transaction adds and takes away is stated in its commit."""

    def __init__(self, mac: Mac) -> None:
        self._mac = mac
        self._change = 0

    def begin(self) -> None:
        """A transaction begins: what one that came to nothing had changed no longer counts."""
        self._change = 0

    def row_changed(self, before: str, after: str) -> None:
        """Called by the triggers with a row's keyed hashes; empty for none."""
        self._change += self._member(after) - self._member(before)

    def settle(self, sql: sqlite3.Connection) -> None:
        """State what has changed, in the transaction that is open."""
        if self._change:
            self._state(sql, _stated(sql) + self._change)

    def restate(self, sql: sqlite3.Connection) -> None:
        """Take the rows as they are now for all that there are."""
        self._state(sql, self._counted(sql))

    def is_whole(self, sql: sqlite3.Connection) -> bool:
        """Whether the rows of the last commit, and what changed since, are all there, and no others."""
        return (_stated(sql) + self._change) % _MODULUS == self._counted(sql)

    def _counted(self, sql: sqlite3.Connection) -> int:
        hashes = (mac for table in _TABLES for (mac,) in sql.execute(f"SELECT mac FROM {table}"))
        return sum(map(self._member, hashes)) % _MODULUS

    def _state(self, sql: sqlite3.Connection, value: int) -> None:
        sql.execute("UPDATE meta SET rows=?", (f"{value % _MODULUS:064x}",))
        seal_rows(sql, self._mac, "meta")
        self._change = 0

    def _member(self, row_mac: str) -> int:
        """Nobody works it out without the key, nor which other rows would make the same sum."""
        return int(self._mac(b"row of the journal " + row_mac.encode()), 16) if row_mac else 0


def _stated(sql: sqlite3.Connection) -> int:
    return int(sql.execute("SELECT rows FROM meta").fetchone()[0], 16)
