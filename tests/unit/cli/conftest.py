"""A fake engine at the end of $PITBOX_SOCKET."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.fake_engine import FakeEngine, serving


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "engine.sock"
        monkeypatch.setenv("PITBOX_SOCKET", str(path))
        with serving(FakeEngine(path)) as running:
            yield running
