"""The simulated twin on the simulated wire: exact byte times, echo, collisions, and the ways a line fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from drivers.kline.interface import KLineError, NoEchoError, WakeTimingError, WrongEchoError
from drivers.kline.simulated import SimulatedKLine
from simulator.kline.wire import KNode, KWire, WireByte
from simulator.virtualtime import run_virtual

Work = Callable[[KWire, SimulatedKLine, KNode], Coroutine[Any, Any, None]]


def on_a_wire(work: Work) -> None:
    async def run() -> None:
        wire = KWire()
        await work(wire, SimulatedKLine(wire.attach("box")), wire.attach("ecu"))

    run_virtual(run())


def now_s() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("rate_bps", [9_600, 10_400, 124_800])
@pytest.mark.parametrize("gap_s", [0.0, 0.005])
def test_every_byte_takes_its_ten_bits_and_every_gap_its_time(rate_bps: int, gap_s: float) -> None:
    async def work(wire: KWire, line: SimulatedKLine, ecu: KNode) -> None:
        heard: list[tuple[float, int]] = []
        ecu.rate_bps = rate_bps
        ecu.on_byte = lambda value: heard.append((now_s(), value))
        line.set_rate(rate_bps)
        began_s = now_s()
        await line.send(b"\x81\x10\xf1\x81", gap_s)
        ends = [began_s + (n + 1) * 10 / rate_bps + n * gap_s for n in range(4)]
        assert [value for _, value in heard] == [0x81, 0x10, 0xF1, 0x81]
        assert [at_s for at_s, _ in heard] == pytest.approx(ends, abs=1e-6)
        assert now_s() == pytest.approx(ends[-1], abs=1e-6)
        assert wire.busy_s == pytest.approx(40 / rate_bps)

    on_a_wire(work)


def test_an_answer_comes_without_the_echo_before_it() -> None:
    async def work(wire: KWire, line: SimulatedKLine, ecu: KNode) -> None:
        await line.send(b"\x01\x02")
        ecu.send(b"\x55\x6b\x8f")
        assert await line.receive(3, 1.0) == b"\x55\x6b\x8f"
        began_s = now_s()
        assert await line.receive(1, 0.3) == b""
        assert now_s() - began_s == pytest.approx(0.3)

    on_a_wire(work)


def test_two_who_speak_at_once_are_both_told_by_their_echo() -> None:
    async def work(wire: KWire, line: SimulatedKLine, ecu: KNode) -> None:
        heard: list[int] = []
        ecu.on_byte = heard.append
        asyncio.get_running_loop().call_later(0.0005, ecu.send, b"\x0f")
        with pytest.raises(WrongEchoError, match="sent 81, heard 01"):
            await line.send(b"\x81\x10", 0.005)
        await asyncio.sleep(0.1)
        assert heard == [0x01, 0x01]
        assert wire.bytes_carried == 2

    on_a_wire(work)


def test_a_dead_wire_has_no_echo_and_a_shorted_one_a_wrong_one() -> None:
    async def work(wire: KWire, line: SimulatedKLine, ecu: KNode) -> None:
        wire.dead = True
        with pytest.raises(NoEchoError):
            await line.send(b"\x81", 0.005)
        wire.dead, wire.stuck_low = False, True
        with pytest.raises(WrongEchoError, match="heard 00"):
            await line.send(b"\x81", 0.005)

    on_a_wire(work)


def test_uarts_at_different_rates_do_not_understand_each_other() -> None:
    async def work(wire: KWire, line: SimulatedKLine, ecu: KNode) -> None:
        heard: list[int] = []
        ecu.on_byte = heard.append
        for rate_bps, understood in ((10_400, True), (10_600, True), (9_600, False), (124_800, False)):
            line.set_rate(rate_bps)
            heard.clear()
            await line.send(b"\x10")
            assert (heard == [0x10]) is understood

    on_a_wire(work)


def test_faults_take_bytes_off_the_wire_and_change_them() -> None:
    async def work(wire: KWire, line: SimulatedKLine, ecu: KNode) -> None:
        def fault(byte: WireByte) -> None:
            byte.value = None if byte.value == 0x11 else 0x7E if byte.value == 0x22 else byte.value

        wire.fault = fault
        ecu.send(b"\x10\x11\x22\x33")
        assert await line.receive(4, 0.1) == b"\x10\x7e\x33"
        wire.noise(0xA5)
        assert await line.receive(1, 0.1) == b"\xa5"

    on_a_wire(work)


def test_an_address_is_on_the_wire_at_five_bits_a_second() -> None:
    async def work(wire: KWire, line: SimulatedKLine, ecu: KNode) -> None:
        levels: list[tuple[float, bool]] = []
        ecu.on_level = lambda low: levels.append((round(now_s(), 6), low))
        await line.wake(0x33)
        assert levels == [(0.0, True), (0.2, False), (0.6, True), (1.0, False), (1.4, True), (1.8, False)]
        assert now_s() == pytest.approx(2.0)
        assert line.discard() == 0

    on_a_wire(work)


def test_the_fast_pattern_is_25_ms_low_and_the_request_begins_after_50() -> None:
    async def work(wire: KWire, line: SimulatedKLine, ecu: KNode) -> None:
        levels: list[tuple[float, bool]] = []
        heard: list[tuple[float, int]] = []
        ecu.on_level = lambda low: levels.append((round(now_s(), 6), low))
        ecu.on_byte = lambda value: heard.append((now_s(), value))
        pulse = await line.wake_fast(b"\x81", 0.005)
        assert pulse.is_good
        assert levels == [(0.0, True), (0.025, False)]
        assert heard[-1] == (pytest.approx(0.050 + 10 / 10_400), 0x81)

    on_a_wire(work)


def test_a_pulse_that_strays_is_told_and_the_line_let_go() -> None:
    async def work(wire: KWire, line: SimulatedKLine, ecu: KNode) -> None:
        levels: list[bool] = []
        ecu.on_level = levels.append
        line.stray_s = 0.0011
        with pytest.raises(WakeTimingError):
            await line.wake_fast(b"\x81", 0.005)
        assert levels == [True, False]
        assert wire.bytes_carried == 0

    on_a_wire(work)


def test_an_unplugged_line_obeys_nothing_and_ends_a_wait() -> None:
    async def work(wire: KWire, line: SimulatedKLine, ecu: KNode) -> None:
        asyncio.get_running_loop().call_later(0.01, line.lose, "unplugged")
        with pytest.raises(KLineError, match="unplugged"):
            await line.receive(1, 5.0)
        assert now_s() == pytest.approx(0.01)
        for work_on in (line.send(b"\x00"), line.wake(0x33), line.wake_fast(b"\x81", 0.0)):
            with pytest.raises(KLineError, match="unplugged"):
                await work_on
        with pytest.raises(KLineError):
            line.set_rate(9_600)

    on_a_wire(work)
