"""Clocks that jump, stand still or run fast."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import virtualtime
from simulator.virtualtime import ScaledLoop, TimeStandsStillError, VirtualLoop, run_virtual


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_timers_run_in_order_and_exactly_when_due(delays: list[float]) -> None:
    async def main() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        fired: list[tuple[float, float]] = []
        for delay in delays:
            loop.call_at(delay, lambda due=delay: fired.append((due, loop.time())))  # type: ignore[misc]
        await asyncio.sleep(1e6 + 1)
        return fired

    fired = run_virtual(main())
    assert [due for due, _ in fired] == sorted(delays)
    assert all(at == pytest.approx(due, abs=1e-6) for due, at in fired)


def test_a_virtual_day_costs_no_time() -> None:
    began = time.perf_counter()
    run_virtual(asyncio.sleep(86_400))
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("due", "leaps"),
    [
        pytest.param(lambda loop: None, True, id="nothing"),
        pytest.param(lambda loop: loop.call_at(1.5, print), True, id="a_later_timer"),
        pytest.param(lambda loop: loop.call_at(1.0, print), False, id="a_timer_at_that_instant"),
        pytest.param(lambda loop: loop.call_at(0.5, print), False, id="an_earlier_timer"),
        pytest.param(lambda loop: loop.call_soon(int), False, id="somebody_who_is_ready"),
    ],
)
def test_a_callback_moves_the_clock_where_nothing_else_comes_before(
    due: Callable[[asyncio.AbstractEventLoop], object], leaps: bool
) -> None:
    loop = VirtualLoop()
    seen: list[tuple[bool, float]] = []

    def leap() -> None:
        due(loop)
        seen.append((loop.leap_to(1.0), loop.time()))
        loop.stop()

    loop.call_soon(leap)
    loop.run_forever()
    loop.close()
    assert seen == [(leaps, 1.0 if leaps else 0.0)]


def test_a_frozen_clock_is_not_moved_by_a_callback() -> None:
    loop = VirtualLoop()
    loop.frozen = True
    assert not loop.leap_to(1.0)
    assert loop.time() == 0
    loop.close()


def test_callbacks_that_move_the_clock_leave_real_files_their_turns() -> None:
    """A wire that is always busy must not keep a client's socket waiting for ever."""
    loop = VirtualLoop()
    reader, writer = os.pipe()
    heard: list[float] = []
    loop.add_reader(reader, lambda: (heard.append(loop.time()), loop.stop()))

    def go_on() -> None:
        while loop.leap_to(loop.time() + 1):
            pass
        loop.call_later(1, go_on)

    os.write(writer, b"x")
    loop.call_soon(go_on)
    loop.run_forever()
    loop.close()
    os.close(reader)
    os.close(writer)
    assert heard and heard[0] < 1000


def test_timeouts_and_sleeps_agree() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(5.001)
        assert loop.time() == pytest.approx(5)
        async with asyncio.timeout(5):
            await asyncio.sleep(4.999)
        assert loop.time() == pytest.approx(9.999)

    run_virtual(main())


def test_work_without_waiting_takes_no_virtual_time() -> None:
    async def main() -> float:
        for _ in range(10_000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0


def test_a_frozen_clock_waits_for_real_input_only() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        readable, writable = os.pipe()
        arrived = asyncio.Event()
        loop.add_reader(readable, arrived.set)
        loop.frozen = True
        due: list[float] = []
        loop.call_later(1, lambda: due.append(loop.time()))
        os.write(writable, b"x")
        await arrived.wait()
        loop.remove_reader(readable)
        assert loop.frozen
        assert (loop.time(), due) == (0, [])
        loop.frozen = False
        await asyncio.sleep(2)
        assert due == [1]
        os.close(readable)
        os.close(writable)

    run_virtual(main())


def test_real_input_is_seen_while_virtual_time_is_busy() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        readable, writable = os.pipe()
        arrived = asyncio.Event()
        loop.add_reader(readable, arrived.set)
        os.write(writable, b"x")
        ticks = [loop.call_at(n / 10, lambda: None) for n in range(10_000)]
        await asyncio.wait_for(arrived.wait(), 1000)
        for tick in ticks:
            tick.cancel()
        loop.remove_reader(readable)
        os.close(readable)
        os.close(writable)

    run_virtual(main())


def test_a_loop_that_spins_ends_and_one_that_waits_now_and_then_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(virtualtime, "_STUCK_AFTER", 50)

    async def turns(count: int, pause_s: float) -> None:
        for _ in range(count):
            await asyncio.sleep(0)
            await asyncio.sleep(pause_s)

    run_virtual(turns(500, 0.001))
    with pytest.raises(TimeStandsStillError):
        run_virtual(turns(500, 0))


def test_scaled_seconds_pass_faster_than_the_walls() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(20)
        return loop.time() - began

    began = time.perf_counter()
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(200)) as runner:
        scaled = runner.run(main())
    wall = time.perf_counter() - began
    assert scaled >= 20
    assert 0.1 <= wall < 20


def test_however_long_the_machine_was_away_no_timeout_overtakes_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away_s = 0.0
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + away_s)

    async def main() -> float:
        nonlocal away_s
        loop = asyncio.get_running_loop()
        asked_s, answered = loop.time(), loop.create_future()

        def half_way() -> None:
            loop.call_at(asked_s + 0.02, answered.set_result, None)

        loop.call_at(asked_s + 0.01, half_way)
        away_s = 10.0
        async with asyncio.timeout_at(asked_s + 0.05):
            await answered
        return loop.time() - asked_s

    with asyncio.Runner(loop_factory=lambda: ScaledLoop(1)) as runner:
        assert runner.run(main()) == pytest.approx(0.02)


def test_an_idle_clock_goes_on_with_the_walls() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began_s, woken = loop.time(), asyncio.Event()
        timer = threading.Timer(0.05, loop.call_soon_threadsafe, (woken.set,))
        timer.start()
        await woken.wait()
        timer.join()
        return loop.time() - began_s

    with asyncio.Runner(loop_factory=lambda: ScaledLoop(100)) as runner:
        assert runner.run(main()) >= 4.9
