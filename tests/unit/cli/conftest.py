"""A fake engine at the end of $PITBOX_SOCKET."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli import operation_client
from tests.unit.cli.fake_engine import FakeEngine, serving


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "engine.sock"
        monkeypatch.setenv("PITBOX_SOCKET", str(path))
        monkeypatch.setattr(operation_client, "_TRY_AGAIN_S", 0.0)
        with serving(FakeEngine(path)) as running:
            yield running
