"""The worker's thread: whose clock passes when."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from appliance.definitions.loader import PACKS, load_definition
from appliance.engine.questions import QuestionDesk
from appliance.engine.serving import worker_and_connection
from appliance.engine.settings import EngineSettings
from appliance.ports import simulated
from appliance.ports.settings import SimulationSettings
from appliance.ports.simulated import SimulatedCarInterface

PACK = "pbx-x050"
SAGS_AT_S = 60


def test_a_simulated_car_that_waits_for_its_first_operation_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something lies ahead of it: stopped by another thread, the clock jumped there now and then."""
    sag = {"kind": "voltage", "on": "time", "at": SAGS_AT_S, "volts": 9.0, "duration_s": 5}
    wanted = SimulationSettings(PACK, faults=json.dumps({"faults": [sag]}))
    settings = EngineSettings(tmp_path, tmp_path / "engine.sock", simulation=wanted)
    told: list[tuple[bool, threading.Thread]] = []
    pass_time = simulated.pass_time

    def listening(loop: asyncio.AbstractEventLoop, passing: bool) -> None:
        told.append((passing, threading.current_thread()))
        pass_time(loop, passing)

    monkeypatch.setattr(simulated, "pass_time", listening)

    async def scene() -> list[float]:
        worker, connection = await worker_and_connection(settings, QuestionDesk())
        assert isinstance(connection, SimulatedCarInterface)
        seen_s = [await worker.call(worker.loop.time) for _ in range(5)]
        await worker.call(connection.car.close)
        worker.stop()
        return seen_s

    booted_s = load_definition(PACKS / f"{PACK}.toml").twin.boot_ms / 1000
    assert asyncio.run(scene()) == [pytest.approx(booted_s)] * 5
    assert [passing for passing, _ in told] == [True, False]
    assert threading.current_thread() not in [thread for _, thread in told]
