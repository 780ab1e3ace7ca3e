"""Waking the strict ECU: by an address at 5 bit/s, by a pulse, and what goes wrong with either."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.protocols.access import AccessError, EcuSilentError, LinkLostError
from appliance.protocols.kwp2000.framing import HeaderForm
from appliance.protocols.kwp2000.keybytes import KeyBytes
from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.kwp2000.waking import SlowWake, WakeError, several_tries, wake_fast, wake_slowly
from drivers.kline.interface import WakeTimingError
from simulator.kline.answering import AnswerFault
from simulator.kline.ecu import Phase
from simulator.kline.settings import KwpEcuSettings
from simulator.kline.wire import WireByte

from .kwp_bench import KwpBench, now_s, on_a_bench

FORM, TIMING = HeaderForm(0x10), KwpTiming()
KEY_BYTES = KeyBytes(0x6B, 0x8F)


def test_a_slow_wake_up_brings_the_key_bytes_and_breaks_no_rule() -> None:
    async def work(bench: KwpBench) -> None:
        assert await wake_slowly(bench.line, SlowWake(0x01)) == KEY_BYTES
        assert bench.ecu.phase is Phase.AWAKE
        assert bench.ecu.violations == []

    on_a_bench(work)


@pytest.mark.parametrize("parity", ["odd", "even"])
def test_an_address_with_parity_wakes_the_ecu_that_wants_it(parity: str) -> None:
    wake = SlowWake(0x11, "odd" if parity == "odd" else "even")

    async def work(bench: KwpBench) -> None:
        await wake_slowly(bench.line, wake)
        assert bench.ecu.phase is Phase.AWAKE

    on_a_bench(work, KwpEcuSettings(wake_address=0x91 if parity == "odd" else 0x11))


def test_a_fast_wake_up_brings_the_key_bytes_and_breaks_no_rule() -> None:
    async def work(bench: KwpBench) -> None:
        assert await wake_fast(bench.line, FORM, TIMING) == KEY_BYTES
        assert bench.ecu.phase is Phase.AWAKE
        assert bench.ecu.violations == []
        assert now_s() < 0.5

    on_a_bench(work)


@pytest.mark.parametrize("slow", [True, False])
def test_nobody_at_home_is_silence(slow: bool) -> None:
    async def work(bench: KwpBench) -> None:
        with pytest.raises(EcuSilentError):
            if slow:
                await wake_slowly(bench.line, SlowWake(0x02))
            else:
                await wake_fast(bench.line, HeaderForm(0x11), TIMING)

    on_a_bench(work)


def test_an_ecu_that_knows_no_pulse_is_silent_to_it_and_wakes_slowly_afterwards() -> None:
    async def work(bench: KwpBench) -> None:
        with pytest.raises(EcuSilentError):
            await wake_fast(bench.line, FORM, TIMING)
        assert await wake_slowly(bench.line, SlowWake(0x01)) == KEY_BYTES

    on_a_bench(work, KwpEcuSettings(wakes=frozenset(("slow",))))


def test_a_line_that_was_busy_is_not_woken_before_it_was_idle() -> None:
    async def work(bench: KwpBench) -> None:
        await bench.line.send(b"\x00")
        with pytest.raises(EcuSilentError):
            await wake_slowly(bench.line, SlowWake(0x01), idle_s=0.1)
        assert bench.ecu.violations == ["woken before the line was idle for W5"]

    on_a_bench(work)


def test_a_line_without_supply_is_told_as_such() -> None:
    async def work(bench: KwpBench) -> None:
        bench.wire.dead = True
        with pytest.raises(LinkLostError, match="no supply"):
            await wake_fast(bench.line, FORM, TIMING)

    on_a_bench(work)


def spoil(number: int, value: int | None) -> tuple[list[int], object]:
    seen: list[int] = []

    def fault(byte: WireByte) -> None:
        seen.append(byte.value or 0)
        if len(seen) - 1 == number:
            byte.value = value

    return seen, fault


@pytest.mark.parametrize(
    ("number", "value", "error", "told"),
    [
        (0, None, EcuSilentError, "no ECU answered"),
        (0, 0x54, WakeError, "no synch byte"),
        (1, None, EcuSilentError, "first key byte"),
        (2, None, EcuSilentError, "second key byte"),
        (3, None, LinkLostError, "no echo"),
        (3, 0x71, LinkLostError, "somebody else"),
        (4, None, EcuSilentError, "confirm its address"),
        (4, 0xFD, WakeError, "confirmed 02 instead of the address 01"),
    ],
)
def test_every_byte_of_a_slow_wake_up_matters(
    number: int, value: int | None, error: type[AccessError], told: str
) -> None:
    async def work(bench: KwpBench) -> None:
        _, bench.wire.fault = spoil(number, value)  # type: ignore[assignment]
        with pytest.raises(error, match=told):
            await wake_slowly(bench.line, SlowWake(0x01))

    on_a_bench(work)


def test_an_ecu_that_was_half_woken_is_woken_at_the_next_try() -> None:
    async def work(bench: KwpBench) -> None:
        _, bench.wire.fault = spoil(3, None)  # type: ignore[assignment]
        assert await several_tries(lambda: wake_slowly(bench.line, SlowWake(0x01))) == KEY_BYTES
        assert bench.ecu.violations == []

    on_a_bench(work)


def test_a_box_that_was_too_slow_for_its_pulse_tries_again() -> None:
    async def work(bench: KwpBench) -> None:
        bench.line.stray_s = 0.0012
        with pytest.raises(LinkLostError) as refused:
            await wake_fast(bench.line, FORM, TIMING)
        assert isinstance(refused.value.__cause__, WakeTimingError)
        bench.line.stray_s = 0.0009
        assert await wake_fast(bench.line, FORM, TIMING) == KEY_BYTES

    on_a_bench(work)


@pytest.mark.parametrize("kind", ["lost", "garbled", "cut"])
def test_a_spoilt_answer_to_start_communication_is_an_error(kind: str) -> None:
    async def work(bench: KwpBench) -> None:
        bench.ecu.faults.append(AnswerFault(kind))  # type: ignore[arg-type]
        with pytest.raises(AccessError):
            await wake_fast(bench.line, FORM, TIMING)

    on_a_bench(work)


def test_an_ecu_that_wants_more_time_between_bytes_does_not_hear_a_hasty_tester() -> None:
    times = replace(KwpEcuSettings().times, p4_min_s=0.017)

    async def work(bench: KwpBench) -> None:
        with pytest.raises(EcuSilentError):
            await wake_fast(bench.line, FORM, TIMING)
        assert bench.ecu.violations[0].startswith("P4 was 5.0 ms")
        bench.ecu.fall_asleep()
        assert await wake_fast(bench.line, FORM, replace(TIMING, p4_min_s=0.017)) == KEY_BYTES

    on_a_bench(work, KwpEcuSettings(times=times))
