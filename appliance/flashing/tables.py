"""The journal's tables in their present form, and the way there from every earlier one."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import PurePath
from typing import Any

from appliance.contract.places import FLASH
from appliance.contract.records import placed
from appliance.flashing.row_sum import RowSum
from appliance.flashing.rows import refuse_strange, seal_rows
from appliance.vault.authentic import Mac
from appliance.vault.contents import sha256_hex

APPLICATION_ID = 0x50_49_54_42
"""`PITB`: tells our file from any other SQLite file, and from an emptied one."""
VERSION = 6
"""1: rows without a keyed hash, no count of the changes to writes, absolute paths in a job's detail.
2: no events and no operations.
3: places without their memory.
4: no proposals.
5: no sum over the rows."""
_NEW_IN_2 = """
CREATE INDEX steps_of_flash ON flash_step(flash_id, seq);
CREATE TABLE meta(
    one INTEGER PRIMARY KEY CHECK(one = 1), serial INTEGER NOT NULL, mac TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO meta(one, serial) VALUES(1, 0);
"""
_NEW_IN_3 = """
CREATE TABLE event(
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    mac TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE operation(
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, verb TEXT NOT NULL, job_id TEXT, actor TEXT NOT NULL,
    parameters_sha256 TEXT NOT NULL, state TEXT NOT NULL, result TEXT, error TEXT,
    began_at REAL NOT NULL, ended_at REAL, mac TEXT NOT NULL DEFAULT '') STRICT;
"""
_NEW_IN_5 = """
CREATE TABLE proposal(
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, verb TEXT NOT NULL, request TEXT NOT NULL,
    preview TEXT NOT NULL, proposer TEXT NOT NULL, by_name TEXT, needs TEXT NOT NULL, state TEXT NOT NULL,
    why TEXT, operation_id TEXT, proposed_at REAL NOT NULL, expires_at REAL NOT NULL,
    mac TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE consent(
    number INTEGER PRIMARY KEY, proposal_id TEXT NOT NULL, need TEXT NOT NULL, actor TEXT NOT NULL,
    by_name TEXT, digest TEXT NOT NULL, at REAL NOT NULL, withdrawn_at REAL,
    mac TEXT NOT NULL DEFAULT '') STRICT;
"""
_NEW_IN_6 = "ALTER TABLE meta ADD COLUMN rows TEXT NOT NULL DEFAULT '0';"
_READ_CHUNK = """CREATE TABLE read_chunk(
    job_id TEXT NOT NULL, pass INTEGER NOT NULL, memory TEXT NOT NULL, address INTEGER NOT NULL,
    pt_sha256 TEXT NOT NULL, segment TEXT NOT NULL, voted INTEGER NOT NULL, seconds REAL NOT NULL,
    mac TEXT NOT NULL DEFAULT '', PRIMARY KEY(job_id, pass, memory, address)) STRICT"""
SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
CREATE TABLE job(
    id TEXT PRIMARY KEY, state TEXT NOT NULL, definition_id TEXT, definition_sha256 TEXT, method TEXT,
    identity TEXT, original_file TEXT, detail TEXT NOT NULL DEFAULT '{{}}',
    created_at REAL NOT NULL, updated_at REAL NOT NULL, mac TEXT NOT NULL DEFAULT '') STRICT;
{_READ_CHUNK};
CREATE TABLE flash(
    id INTEGER PRIMARY KEY, job_id TEXT NOT NULL, write_order TEXT NOT NULL, mac TEXT NOT NULL DEFAULT '',
    opened_at REAL NOT NULL, closed_at REAL, outcome TEXT) STRICT;
CREATE UNIQUE INDEX one_open_flash ON flash(closed_at IS NULL) WHERE closed_at IS NULL;
CREATE TABLE flash_step(
    flash_id INTEGER NOT NULL, seq INTEGER PRIMARY KEY, step TEXT NOT NULL, block_start INTEGER,
    memory TEXT, at REAL NOT NULL, detail TEXT, mac TEXT NOT NULL DEFAULT '') STRICT;
{_NEW_IN_2}
{_NEW_IN_3}
{_NEW_IN_5}
{_NEW_IN_6}
"""
SEALED_TABLES = ("job", "read_chunk", "flash", "flash_step", "meta")
"""A row of these that the box did not write makes the journal a damaged one. Events and operations only tell
what happened, and a damaged proposal is never started: theirs are looked at when they are read, and none of
them can keep a box from recovering."""

_SIGNS = re.compile(r"[(),]")
_Item = tuple[str, frozenset[str]]
"""One thing of a schema: its name, and its clauses."""


def migrate(sql: sqlite3.Connection, version: int, mac: Mac) -> None:
    """Bring a journal of an earlier version to the present one, inside the caller's transaction.

    Raises ValueError for a row of the old version that its own check refuses, which a new keyed hash would
    make genuine, and for strange tables.
    """
    for table in SEALED_TABLES if version > 1 else ():
        for row in sql.execute(f"SELECT * FROM {table}").fetchall():
            refuse_strange(table, row, mac)
    for step in range(version, VERSION):
        _STEPS[step](sql)
        sql.execute(f"PRAGMA user_version = {step + 1}")
    for table in SEALED_TABLES:
        seal_rows(sql, mac, table)
    RowSum(mac).restate(sql)
    refuse_strange_schema(sql)


def refuse_strange_schema(sql: sqlite3.Connection) -> None:
    """Raises ValueError for tables that are not exactly ours.

    Rows carry the box's keyed hash and their tables do not: a trigger, or a constraint that drops what breaks
    it, would make the journal forget an erase while every row that is left is genuine.
    """
    if strange := _shape(sql) ^ _our_shape():
        raise ValueError(
            f"its tables are not those of this box: {', '.join(sorted(name for name, _ in strange))}"
        )


@cache
def _our_shape() -> frozenset[_Item]:
    ours = sqlite3.connect(":memory:")
    try:
        ours.executescript(SCHEMA)
        return _shape(ours)
    finally:
        ours.close()


def _shape(sql: sqlite3.Connection) -> frozenset[_Item]:
    """Everything in the schema by name, as its clauses: a migrated table has them in another order."""
    return frozenset(
        (f"{kind} {name}", frozenset(_clauses(text or "")))
        for kind, name, text in sql.execute("SELECT type, name, sql FROM sqlite_schema")
    )


def _clauses(text: str) -> list[str]:
    """What stands before, between and behind the outermost commas and parentheses, without spare blanks."""
    found, depth, began = [], 0, 0
    for match in _SIGNS.finditer(text):
        at, sign = match.start(), match.group()
        inner = depth > 1 or (depth == 1 and sign == "(")
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if not inner:
            found.append(" ".join(text[began:at].split()))
            began = at + 1
    return [*found, " ".join(text[began:].split())]


def _from_1(sql: sqlite3.Connection) -> None:
    for row in sql.execute("SELECT * FROM flash").fetchall():
        if sha256_hex(f"{row['job_id']}\n{row['write_order']}".encode()) != row["order_sha256"]:
            raise ValueError("a write order is not what was recorded")
    sql.execute("ALTER TABLE flash DROP COLUMN order_sha256")
    for table in ("job", "read_chunk", "flash", "flash_step"):
        sql.execute(f"ALTER TABLE {table} ADD COLUMN mac TEXT NOT NULL DEFAULT ''")
    for statement in _NEW_IN_2.split(";"):
        sql.execute(statement)
    for row in sql.execute("SELECT id, detail FROM job").fetchall():
        detail = json.dumps(_with_relative_paths(json.loads(row["detail"])))
        sql.execute("UPDATE job SET detail=? WHERE id=?", (detail, row["id"]))


def _from_2(sql: sqlite3.Connection) -> None:
    for statement in _NEW_IN_3.split(";"):
        sql.execute(statement)


def _with_relative_paths(detail: dict[str, Any]) -> dict[str, Any]:
    """Sealed segments named from the state directory on: its last three parts are `blobs/ab/abc….age`."""
    sealed = detail.get("sealed")
    if isinstance(sealed, list):
        detail["sealed"] = [one | {"path": "/".join(PurePath(one["path"]).parts[-3:])} for one in sealed]
    return detail


def _from_3(sql: sqlite3.Connection) -> None:
    """Every ECU had one memory."""
    sql.execute("ALTER TABLE flash_step ADD COLUMN memory TEXT")
    sql.execute("UPDATE flash_step SET memory=? WHERE block_start IS NOT NULL", (FLASH,))
    sql.execute("ALTER TABLE read_chunk RENAME TO old_chunk")
    sql.execute(_READ_CHUNK)
    for row in sql.execute("SELECT * FROM old_chunk").fetchall():
        segment = placed(json.loads(row["segment"]), "address", "length")
        sql.execute(
            "INSERT INTO read_chunk("
            "job_id, pass, memory, address, pt_sha256, segment, voted, seconds) VALUES(?,?,?,?,?,?,?,?)",
            (
                row["job_id"],
                row["pass"],
                FLASH,
                row["address"],
                row["pt_sha256"],
                json.dumps(segment),
                row["voted"],
                row["seconds"],
            ),
        )
    sql.execute("DROP TABLE old_chunk")


def _from_4(sql: sqlite3.Connection) -> None:
    for statement in _NEW_IN_5.split(";"):
        sql.execute(statement)


def _from_5(sql: sqlite3.Connection) -> None:
    sql.execute(_NEW_IN_6)


_STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {
    1: _from_1,
    2: _from_2,
    3: _from_3,
    4: _from_4,
    5: _from_5,
}
