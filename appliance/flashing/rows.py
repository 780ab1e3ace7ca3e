"""Rows of the journal as records, and the box's keyed hash over each row."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from appliance.contract.jobs import JobState
from appliance.contract.places import Start
from appliance.contract.records import Segment
from appliance.protocols.access import EcuIdentity
from appliance.vault.authentic import Mac


class Step(StrEnum):
    """What the journal records of a write, in this order per block."""

    INTENT = "intent"
    RESCUE = "rescue"
    """Opened because the journal of an earlier write is lost: memory may be half written from the start."""
    SESSION_OPEN = "session_open"
    SKIPPED = "skipped"
    ERASE_INTENT = "erase_intent"
    ERASES_ALLOWED = "erases_allowed"
    """A person lets the write erase as often again as its definition allows."""
    PROGRAMMED = "programmed"
    INCOMPLETE = "incomplete"
    """Its block holds the target, and is written again because the ECU calls its memory incomplete."""
    INTERRUPTED = "interrupted"
    RESUMED = "resumed"
    RETARGETED = "retargeted"
    """Resumed with another target: what was programmed before no longer counts."""
    SET_ASIDE = "set_aside"
    """A named person lets another car be served first; name and reason are its detail, as JSON."""
    VERIFY_OK = "verify_ok"
    COMMITTED = "committed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as the journal knows it."""

    id: str
    state: JobState
    definition_id: str | None
    definition_sha256: str | None
    method: str | None
    identity: EcuIdentity | None
    original_file: str | None
    detail: dict[str, object]
    created_at: float


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """One chunk of one reading pass: what came, and the segment that was kept of it."""

    pt_sha256: str
    segment: Segment
    voted: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FlashRecord:
    """A write: its order as JSON text, and how it ended (None while open)."""

    id: int
    job_id: str
    write_order: str
    outcome: str | None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One recorded step of a write."""

    step: Step
    block: Start | None
    """Where the block begins that it is about."""
    at: float
    detail: str | None


def job_of(row: sqlite3.Row) -> JobRecord:
    """A row of `job`."""
    return JobRecord(
        row["id"],
        JobState(row["state"]),
        row["definition_id"],
        row["definition_sha256"],
        row["method"],
        identity_of(row["identity"]),
        row["original_file"],
        json.loads(row["detail"]),
        row["created_at"],
    )


def identity_of(text: str | None) -> EcuIdentity | None:
    """Inverse of identity_text."""
    if not text:
        return None
    fields = json.loads(text)
    fields["calid"], fields["cvn"] = tuple(fields["calid"]), tuple(fields["cvn"])
    return EcuIdentity(**fields)


def identity_text(identity: EcuIdentity) -> str:
    """An identity as the journal keeps it."""
    return json.dumps(asdict(identity))


def chunk_of(row: sqlite3.Row) -> ChunkRecord:
    """A row of `read_chunk`."""
    segment = Segment(**json.loads(row["segment"]))
    return ChunkRecord(row["pt_sha256"], segment, row["voted"], row["seconds"])


def flash_of(row: sqlite3.Row) -> FlashRecord:
    """A row of `flash`."""
    return FlashRecord(row["id"], row["job_id"], row["write_order"], row["outcome"])


def step_of(row: sqlite3.Row) -> StepRecord:
    """A row of `flash_step`."""
    return StepRecord(Step(row["step"]), block_of(row), row["at"], row["detail"])


def block_of(row: sqlite3.Row) -> Start | None:
    """Where the block of a row of `flash_step` begins."""
    return None if row["block_start"] is None else (row["memory"], row["block_start"])


def add_job(sql: sqlite3.Connection, mac: Mac, job: JobRecord) -> None:
    """A row of `job`, sealed, last changed when it was made."""
    sql.execute(
        "INSERT INTO job(id, state, definition_id, definition_sha256, method, identity, original_file, "
        "detail, created_at, updated_at) VALUES(?,?,?,?,?,?,?,?,?,?)",
        (
            job.id,
            job.state.value,
            job.definition_id,
            job.definition_sha256,
            job.method,
            None if job.identity is None else identity_text(job.identity),
            job.original_file,
            json.dumps(job.detail),
            job.created_at,
            job.created_at,
        ),
    )
    seal_rows(sql, mac, "job", "id=?", job.id)


def add_chunk(sql: sqlite3.Connection, mac: Mac, job_id: str, reading_pass: int, chunk: ChunkRecord) -> None:
    """A row of `read_chunk`, sealed; it takes the stead of an earlier one of the same place."""
    sql.execute(
        "INSERT OR REPLACE INTO read_chunk("
        "job_id, pass, memory, address, pt_sha256, segment, voted, seconds) VALUES(?,?,?,?,?,?,?,?)",
        (
            job_id,
            reading_pass,
            *chunk.segment.place.at,
            chunk.pt_sha256,
            json.dumps(asdict(chunk.segment)),
            chunk.voted,
            chunk.seconds,
        ),
    )
    where = "job_id=? AND pass=? AND memory=? AND address=?"
    seal_rows(sql, mac, "read_chunk", where, job_id, reading_pass, *chunk.segment.place.at)


def add_step(
    sql: sqlite3.Connection,
    mac: Mac,
    now: float,
    flash_id: int,
    step: Step,
    block: Start | None,
    detail: str | None,
) -> None:
    """One more step of a write, sealed."""
    cursor = sql.execute(
        "INSERT INTO flash_step(flash_id, step, memory, block_start, at, detail) VALUES(?,?,?,?,?,?)",
        (flash_id, step.value, *(block or (None, None)), now, detail),
    )
    seal_rows(sql, mac, "flash_step", "seq=?", cursor.lastrowid)


def seal_rows(sql: sqlite3.Connection, mac: Mac, table: str, where: str = "1", *values: object) -> None:
    """Put the keyed hash on rows just written: one flipped bit could name another car or other blocks."""
    for row in sql.execute(f"SELECT rowid AS at_row, * FROM {table} WHERE {where}", values).fetchall():
        sql.execute(f"UPDATE {table} SET mac=? WHERE rowid=?", (mac(_stated(table, row)), row["at_row"]))


def refuse_strange(table: str, row: sqlite3.Row, mac: Mac) -> None:
    """Raises ValueError for a row that this box did not write as it is."""
    if not hmac.compare_digest(str(row["mac"]).encode(), mac(_stated(table, row)).encode()):
        raise ValueError(f"a row of {table} is not what this box wrote")


def seal_of(table: str, columns: Mapping[str, object], mac: Mac) -> str:
    """The keyed hash of a row that is yet to be written."""
    return mac(_as_bytes(table, columns))


def _stated(table: str, row: sqlite3.Row) -> bytes:
    columns = {name: row[name] for name in row.keys() if name not in ("mac", "at_row")}  # noqa: SIM118
    return _as_bytes(table, columns)


def _as_bytes(table: str, columns: Mapping[str, object]) -> bytes:
    return json.dumps([table, columns], sort_keys=True).encode()
