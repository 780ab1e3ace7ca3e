"""What the engine does with a state directory that is damaged, foreign or exposed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.events import AlarmEvent, Event
from appliance.engine.box import open_box
from appliance.engine.operations.write import recover
from appliance.engine.settings import EngineSettings
from tests.frozen.thaw import Thawed, live, thaw


@pytest.fixture
def half_written(tmp_path: Path) -> Thawed:
    """A box with a half-written ECU, its journal of the present format."""
    thawed = thaw("v1/half_written", tmp_path / "thawed")

    async def nothing(box: Any, car: Any) -> None:
        return

    live(thawed, nothing)
    return thawed


def opened(thawed: Thawed, **settings: Any) -> Any:
    nobody: Any = None
    plain = EngineSettings(thawed.state, thawed.state / "engine.sock", role="master")
    return open_box(replace(plain, **settings), nobody, lambda event: None)


def test_a_whole_journal_is_not_set_aside(half_written: Thawed) -> None:
    before = half_written.journal.read_bytes()
    with pytest.raises(PitboxError) as refusal:
        opened(half_written, set_journal_aside=True)
    assert refusal.value.code == "JOURNAL_WHOLE"
    assert half_written.journal.read_bytes() == before
    assert not list(half_written.state.glob("*.damaged"))


def test_a_damaged_journal_is_set_aside_once_and_the_open_write_stays_known(half_written: Thawed) -> None:
    half_written.journal.write_bytes(b"rubbish" * 999)
    with pytest.raises(PitboxError, match="JOURNAL_DAMAGED"):
        opened(half_written)
    box = opened(half_written, set_journal_aside=True)
    (flash,) = box.journal.open_flashes()
    assert flash.job_id == half_written.job
    box.journal.close()
    assert len(list(half_written.state.glob("journal.db.*.damaged"))) == 1
    with pytest.raises(PitboxError, match="JOURNAL_WHOLE"):
        opened(half_written, set_journal_aside=True)


@pytest.mark.parametrize("original", [False, True])
def test_an_ecu_is_finished_whose_journal_is_gone(half_written: Thawed, original: bool) -> None:
    half_written.journal.unlink()
    events: list[Event] = []

    async def finish(box: Any, car: Any) -> None:
        result = await recover(box, None, original)
        assert result["job"] == half_written.job

    live(half_written, finish, events)
    expected = half_written.original_sha256 if original else half_written.tuned_sha256
    assert half_written.memory_sha256() == expected
    alarms = [event for event in events if isinstance(event, AlarmEvent)]
    assert "has begun to erase" in alarms[0].text
