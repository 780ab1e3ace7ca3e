"""A simulated K-line for testers in other processes: bytes and levels that a terminal stands for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import serial

from appliance.protocols.kwp2000.framing import HeaderForm
from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.kwp2000.waking import wake_fast
from drivers.factory import open_kline
from simulator.kline.ecu import Phase
from simulator.kline.settings import KwpEcuSettings
from simulator.kline.terminal import KLineTerminal
from simulator.kline.wire import KNode, KWire
from simulator.virtualtime import ScaledLoop

from .kwp_bench import KwpBench
from .pty_line import on_a_patient_loop

HASTE = 20.0
PATIENCE_S = 0.25
Work = Callable[[serial.Serial, KNode, asyncio.Queue[object]], Coroutine[Any, Any, None]]


def at_a_terminal(work: Work) -> None:
    async def run() -> None:
        wire = KWire()
        ecu = wire.attach("ecu")
        seen: asyncio.Queue[object] = asyncio.Queue()
        ecu.on_byte, ecu.on_level = seen.put_nowait, seen.put_nowait
        terminal = KLineTerminal(wire)
        tester = serial.Serial(terminal.device, 10_400, timeout=0)
        asyncio.get_running_loop().add_reader(
            tester.fileno(), lambda: seen.put_nowait(os.read(tester.fileno(), 1))
        )
        try:
            await work(tester, ecu, seen)
        finally:
            asyncio.get_running_loop().remove_reader(tester.fileno())
            tester.close()
            terminal.close()

    with asyncio.Runner(loop_factory=lambda: ScaledLoop(HASTE)) as runner:
        runner.run(run())


async def next_of(seen: asyncio.Queue[object], count: int) -> list[object]:
    return [await seen.get() for _ in range(count)]


def test_bytes_go_both_ways_and_come_back_as_their_echo() -> None:
    async def work(tester: serial.Serial, ecu: KNode, seen: asyncio.Queue[object]) -> None:
        tester.write(b"\x81")
        assert sorted(await next_of(seen, 2), key=str) == [0x81, b"\x81"]
        ecu.send(b"\xc1")
        assert sorted(await next_of(seen, 2), key=str) == [0xC1, b"\xc1"]

    at_a_terminal(work)


def test_a_byte_at_another_rate_is_not_understood() -> None:
    async def work(tester: serial.Serial, ecu: KNode, seen: asyncio.Queue[object]) -> None:
        tester.baudrate = 38_400
        tester.write(b"\x81")
        heard = await next_of(seen, 2)
        assert b"\x81" in heard and 0x81 not in heard

    at_a_terminal(work)


@pytest.mark.parametrize(
    ("rate_bps", "value", "levels"),
    [(5, 0x33, [True, False, True, False, True, False]), (360, 0x00, [True, False])],
)
def test_slow_bytes_hold_the_wire(rate_bps: int, value: int, levels: list[bool]) -> None:
    async def work(tester: serial.Serial, ecu: KNode, seen: asyncio.Queue[object]) -> None:
        tester.baudrate = rate_bps
        tester.write(bytes((value,)))
        heard: list[object] = []
        while bytes((value,)) not in heard:
            heard.append(await seen.get())
        assert [one for one in heard if isinstance(one, bool)] == levels

    at_a_terminal(work)


def test_a_tester_hears_at_the_rate_that_it_has_set_since_it_last_sent() -> None:
    async def work(tester: serial.Serial, ecu: KNode, seen: asyncio.Queue[object]) -> None:
        tester.baudrate = ecu.rate_bps = 38_400
        tester.write(b"\x81")
        await next_of(seen, 2)
        tester.baudrate = ecu.rate_bps = 10_400
        ecu.send(b"\x55")
        assert sorted(await next_of(seen, 2), key=str) == [0x55, b"U"]

    at_a_terminal(work)


def test_a_zero_at_360_bits_wakes_an_ecu_as_a_pulse_does() -> None:
    async def run() -> None:
        bench = KwpBench(KwpEcuSettings(wakes=frozenset(("fast",)), exact_s=PATIENCE_S))
        terminal, ecu = KLineTerminal(bench.wire), bench.ecu
        line = open_kline(f"terminal:{terminal.device}")
        try:
            keys = await wake_fast(line, HeaderForm(0x10), KwpTiming(p2_max_s=PATIENCE_S))
            assert (keys.first, keys.second) == ecu.settings.key_bytes
            assert (ecu.phase, line.rate_bps) == (Phase.AWAKE, 10_400)
        finally:
            line.close()
            terminal.close()

    on_a_patient_loop(run())
