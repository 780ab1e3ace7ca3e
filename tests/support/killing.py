"""kill -9 in process: the state directory as it is at that instant, and the old box never runs on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.flashing.database import Database


class Killed(BaseException):
    """The box is gone. What its old objects still do happens to files that nobody reads again."""


class Killer:
    """Has a box die at an instant: just before or behind a journal commit, or wherever `strike` is called."""

    def __init__(self, state: Path) -> None:
        self.state = state
        """Where the living box keeps its files."""
        self.commits_left = 0
        """Instants around commits until the box dies there; 0 lets it live."""

    def strike(self) -> None:
        """Die now: the next life gets a copy of the files as they are. Raises Killed."""
        self.commits_left = 0
        self.state = shutil.copytree(self.state, self.state.with_name(f"{self.state.name}+"))
        raise Killed

    def watch_commits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Count the instants before and behind every commit of every journal."""
        plain = Database.transaction

        @contextmanager
        def watched(database: Database) -> Iterator[object]:
            self._pass_by()
            with plain(database) as sql:
                yield sql
            self._pass_by()

        monkeypatch.setattr(Database, "transaction", watched)

    def _pass_by(self) -> None:
        if self.commits_left:
            self.commits_left -= 1
            if not self.commits_left:
                self.strike()
