"""Keeps the record of writes in step with the journal: compared at the start, rewritten behind a change."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from appliance.contract.alarm_texts import Trouble, trouble
from appliance.flashing.database import Database, JournalNewerError, StorageError
from appliance.flashing.marks import MarksFile
from appliance.flashing.reconciling import Reconciler, marks_of, serial_of
from appliance.flashing.recorder import Recorder
from appliance.flashing.rows import seal_rows
from appliance.vault.authentic import Mac, NewerRecordError
from appliance.vault.errors import VaultError

log = logging.getLogger("pitbox.journal")


class WritesRecord:
    """The journal's side of `writes.1` and `writes.2`."""

    def __init__(
        self, db: Database, recorder: Recorder, folder: Path, now: Callable[[], float], mac: Mac
    ) -> None:
        self._db = db
        self._recorder = recorder
        self._now = now
        self._mac = mac
        self._marks = MarksFile(folder, mac)

    def reconcile(self, distrust: Callable[[sqlite3.Connection], None]) -> tuple[Trouble, ...]:
        """Make journal and record agree; what of them was lost.

        `distrust` is called in the same commit where the journal is not as it was left.

        Raises JournalNewerError, JournalDamagedError, StorageError.
        """
        try:
            found = self._marks.read()
        except NewerRecordError as error:
            raise JournalNewerError(self._marks.paths[0], error.said) from error
        except VaultError as error:
            raise StorageError(self._marks.paths[0], error.what) from error
        newest = max(found.copies, key=lambda marks: marks.serial, default=None)
        with self._recorder.change() as sql:
            serial = serial_of(sql)
            told: tuple[Trouble, ...] = ()
            if newest is not None and newest.serial >= serial:
                told = Reconciler(sql, self._mac, self._now()).apply(newest)
            if put_back := not self._db.is_whole():
                told = (*told, trouble("rows_put_back"))
            if put_back or (newest is not None and newest.serial > serial):
                distrust(sql)
                self._db.take_as_whole(sql)
            expected = marks_of(sql)
        differences = told if found.never_written and not serial else (*told, *found.problems)
        for difference in differences:
            log.warning("%s", difference.text)
        if any(copy != expected for copy in found.copies) or found.problems:
            self.remember()
        return differences

    def changed(self, sql: sqlite3.Connection) -> None:
        """Count a change of writes or proposals in its own commit, which the record must follow."""
        sql.execute("UPDATE meta SET serial=serial+1")
        seal_rows(sql, self._mac, "meta")

    def follow(self) -> None:
        """As `remember`, where what is committed counts without it: the next start brings the record up."""
        try:
            self.remember()
        except StorageError as error:
            log.warning("the record of writes lags behind: %s", error.what)

    def remember(self) -> None:
        """Bring the record of writes up to the journal. Raises StorageError."""
        with self._db.transaction() as sql:
            marks = marks_of(sql)
        try:
            self._marks.write(marks)
        except VaultError as error:
            raise StorageError(self._marks.paths[0], error.what) from error
