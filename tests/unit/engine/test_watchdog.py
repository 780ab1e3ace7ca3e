from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.engine.watchdog import Watchdog
from simulator.virtualtime import run_virtual

PERIOD_US = "20000000"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "n"))
        listening.setblocking(False)
        yield listening


def heard(manager: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(manager.recv(100))
        except BlockingIOError:
            return found


def test_without_a_manager_nothing_is_said_and_nobody_waits() -> None:
    watchdog = Watchdog({})
    watchdog.ready()
    assert watchdog.period_s is None


@pytest.mark.parametrize("usec", ["", "soon", "-5"])
def test_a_period_that_is_none_is_none(usec: str) -> None:
    assert Watchdog({"WATCHDOG_USEC": usec}).period_s is None


def test_a_period_meant_for_another_process_is_not_ours() -> None:
    theirs = {"WATCHDOG_USEC": PERIOD_US, "WATCHDOG_PID": str(os.getpid() + 1)}
    assert Watchdog(theirs).period_s is None
    assert Watchdog(theirs | {"WATCHDOG_PID": str(os.getpid())}).period_s == 10.0


def test_an_abstract_name_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0pitbox-test-{os.getpid()}")
        Watchdog({"NOTIFY_SOCKET": f"@pitbox-test-{os.getpid()}"}).ready()
        assert listening.recv(100) == b"READY=1"


def test_a_manager_that_is_gone_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    Watchdog({"NOTIFY_SOCKET": "/nowhere/at/all"}).ready()
    assert "was not told" in caplog.text


def test_a_sign_of_life_each_half_period_and_none_while_a_loop_hangs(manager: socket.socket) -> None:
    async def scene() -> tuple[int, int]:
        watchdog = Watchdog({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": PERIOD_US})
        turning = asyncio.Event()
        turning.set()

        async def alive() -> None:
            await turning.wait()

        signs = asyncio.ensure_future(watchdog.run(alive))
        await asyncio.sleep(100)
        lively = len(heard(manager))
        turning.clear()
        await asyncio.sleep(100)
        hung = len(heard(manager))
        signs.cancel()
        return lively, hung

    lively, hung = run_virtual(scene())
    assert lively in (10, 11)
    assert hung <= 1
