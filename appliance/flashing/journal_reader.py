"""What the journal says of jobs, reads and writes: rows as records, each as this box wrote it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
from appliance.contract.places import Start
from appliance.flashing.database import Database, JournalDamagedError
from appliance.flashing.rows import (
    ChunkRecord,
    FlashRecord,
    JobRecord,
    StepRecord,
    chunk_of,
    flash_of,
    job_of,
    refuse_strange,
    step_of,
)
from appliance.vault.authentic import Mac

Parsed = TypeVar("Parsed")


class JournalReader:
    """The reading side of the journal. Every method raises JournalDamagedError for a strange row."""

    def __init__(self, path: Path, database: Database, mac: Mac) -> None:
        self.path = path
        self._db = database
        self._mac = mac

    def job(self, job_id: str) -> JobRecord:
        """Raises PitboxError for an unknown id."""
        found = self._jobs("WHERE id=?", job_id)
        if not found:
            raise EngineError("JOB_UNKNOWN", job=job_id)
        return found[0]

    def jobs(self) -> list[JobRecord]:
        """All jobs, newest first, however the clock was set."""
        return self._jobs("ORDER BY rowid DESC")

    def chunks(self, job_id: str, reading_pass: int) -> dict[Start, ChunkRecord]:
        """Chunks of a pass by where they begin."""
        query = "SELECT * FROM read_chunk WHERE job_id=? AND pass=? ORDER BY memory, address"
        return {
            chunk.segment.place.at: chunk
            for chunk in self._parsed("read_chunk", chunk_of, query, job_id, reading_pass)
        }

    def open_flashes(self) -> list[FlashRecord]:
        """Writes that did not end; at most one."""
        return self._flashes("WHERE closed_at IS NULL")

    def last_flash(self, job_id: str) -> FlashRecord | None:
        """The job's newest write."""
        found = self._flashes("WHERE job_id=? ORDER BY id DESC LIMIT 1", job_id)
        return found[0] if found else None

    def flashes(self, job_id: str | None = None) -> list[FlashRecord]:
        """All writes, or those of a job, newest first."""
        if job_id is None:
            return self._flashes("ORDER BY id DESC")
        return self._flashes("WHERE job_id=? ORDER BY id DESC", job_id)

    def steps(self, flash_id: int) -> list[StepRecord]:
        """Steps of a write in their order."""
        return self._parsed(
            "flash_step", step_of, "SELECT * FROM flash_step WHERE flash_id=? ORDER BY seq", flash_id
        )

    def _jobs(self, where: str, *values: object) -> list[JobRecord]:
        return self._parsed("job", job_of, f"SELECT * FROM job {where}", *values)

    def _flashes(self, where: str, *values: object) -> list[FlashRecord]:
        return self._parsed("flash", flash_of, f"SELECT * FROM flash {where}", *values)

    def _parsed(
        self, table: str, parse: Callable[[sqlite3.Row], Parsed], query: str, *values: object
    ) -> list[Parsed]:
        """Rows as records. Raises JournalDamagedError for a row that this box did not write so."""
        rows = self._db.rows(query, *values)
        try:
            for row in rows:
                refuse_strange(table, row, self._mac)
            return [parse(row) for row in rows]
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise JournalDamagedError(
                self.path, phrase("journal.senseless", technical_text=str(error))
            ) from error
