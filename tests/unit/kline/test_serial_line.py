"""The real driver over a pseudo-terminal: real bytes, real rates, the echo of every byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from drivers.kline.interface import KLineError, NoEchoError, WakeTimingError, WrongEchoError
from drivers.kline.serialline import SerialKLine

from .pty_line import FarEnd, line_over_a_pty, on_a_patient_loop

REQUEST = bytes.fromhex("C133F18166")
GAP_S = 0.001
LONG_S = 10.0
Work = Callable[[SerialKLine, FarEnd], Coroutine[Any, Any, None]]


def over_a_pty(work: Work, rate_bps: int = 10_400) -> None:
    async def run() -> None:
        with line_over_a_pty(rate_bps) as (line, far):
            await work(line, far)

    on_a_patient_loop(run())


@pytest.mark.parametrize("gap_s", [0.0, GAP_S])
def test_a_request_goes_out_and_its_answer_comes_back_without_the_echo(gap_s: float) -> None:
    async def work(line: SerialKLine, far: FarEnd) -> None:
        far.answer = lambda heard: bytes.fromhex("83F111C16B8FF1") if heard == REQUEST else b""
        await line.send(REQUEST, gap_s)
        assert far.heard == REQUEST
        assert await line.receive(7, LONG_S) == bytes.fromhex("83F111C16B8FF1")

    over_a_pty(work)


@pytest.mark.parametrize("rate_bps", [9_600, 10_400, 38_400, 52_800, 124_800, 250_000])
def test_any_rate_is_set_to_the_bit(rate_bps: int) -> None:
    async def work(line: SerialKLine, far: FarEnd) -> None:
        assert (line.rate_bps, far.rate_bps) == (9_600, 9_600)
        line.set_rate(rate_bps)
        assert (line.rate_bps, far.rate_bps) == (rate_bps, rate_bps)

    over_a_pty(work, 9_600)


def test_no_byte_follows_one_whose_echo_is_wrong() -> None:
    async def work(line: SerialKLine, far: FarEnd) -> None:
        far.echo = lambda data: b"\x31" if data == b"\x33" else data
        with pytest.raises(WrongEchoError, match="sent 33, heard 31"):
            await line.send(REQUEST, GAP_S)
        assert far.heard == REQUEST[:2]

    over_a_pty(work)


def test_without_a_gap_the_echo_is_compared_all_the_same() -> None:
    async def work(line: SerialKLine, far: FarEnd) -> None:
        far.echo = lambda data: b"\x31" if data == b"\x33" else data
        with pytest.raises(WrongEchoError):
            await line.send(REQUEST)

    over_a_pty(work)


def test_a_line_without_supply_gives_no_echo() -> None:
    async def work(line: SerialKLine, far: FarEnd) -> None:
        far.echo = lambda data: b""
        with pytest.raises(NoEchoError, match="no supply"):
            await line.send(REQUEST, GAP_S)

    over_a_pty(work)


def test_fewer_bytes_where_time_runs_out_and_what_is_dropped_is_counted() -> None:
    async def work(line: SerialKLine, far: FarEnd) -> None:
        far.send(b"\x55\x6b")
        assert await line.receive(2, LONG_S) == b"\x55\x6b"
        assert await line.receive(3, 0.001) == b""
        far.send(b"\x8f\x01\x02")
        assert await line.receive(1, LONG_S) == b"\x8f"
        assert line.discard() == 2
        assert line.discard() == 0

    over_a_pty(work)


def test_an_unplugged_adapter_ends_the_wait_for_bytes() -> None:
    async def work(line: SerialKLine, far: FarEnd) -> None:
        waiting = asyncio.create_task(line.receive(1, LONG_S))
        await asyncio.sleep(0)
        far.unplug()
        with pytest.raises(KLineError, match=far.device):
            await waiting
        with pytest.raises(KLineError):
            await line.send(b"\x00")

    over_a_pty(work)


def test_a_device_that_is_not_there_is_told() -> None:
    async def run() -> None:
        SerialKLine("/dev/there-is-no-such-line")

    with pytest.raises(KLineError, match="/dev/there-is-no-such-line"):
        asyncio.run(run())


def test_fast_wake_ups_are_within_a_millisecond_or_are_told_and_never_left_low() -> None:
    """What a busy machine spoils is told as spoilt; nothing spoilt passes for good."""

    async def work(line: SerialKLine, far: FarEnd) -> None:
        for _ in range(5):
            line.discard()
            far.heard.clear()
            try:
                pulse = await line.wake_fast(REQUEST, GAP_S)
            except WakeTimingError:
                assert len(far.heard) <= 1
            else:
                assert 0.024 <= pulse.low.shortest_s <= pulse.low.longest_s <= 0.026
                assert 0.049 <= pulse.whole.shortest_s <= pulse.whole.longest_s <= 0.051
                assert far.heard == REQUEST
            assert line._port.break_condition is False

    over_a_pty(work)


def test_who_is_cancelled_in_a_wake_up_leaves_the_line_high() -> None:
    async def work(line: SerialKLine, far: FarEnd) -> None:
        waking = asyncio.create_task(line.wake_fast(REQUEST, GAP_S))
        await asyncio.sleep(0)
        waking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waking
        assert line._port.break_condition is False
        line.discard()
        far.heard.clear()

    over_a_pty(work)


def test_bytes_that_were_looked_at_before_their_event_was_told_are_no_hang_up() -> None:
    async def work(line: SerialKLine, far: FarEnd) -> None:
        far.send(b"\x55")
        assert await line.receive(1, LONG_S) == b"\x55"
        line._readable()
        await line.send(REQUEST, GAP_S)
        assert far.heard == REQUEST

    over_a_pty(work)
