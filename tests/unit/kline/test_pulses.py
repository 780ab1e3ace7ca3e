"""Wake-up patterns on a clock of the test: what is measured, what is refused, and that the line is let go."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from drivers.kline.interface import KLineError, WakeTimingError
from drivers.kline.pulses import Watch, address_bits, wake_pulse

TICK_S = 0.00001


@dataclass
class Bench:
    """A clock that moves a tick at each look, and a line that notes its edges."""

    at_s: float = 0.0
    edges: list[tuple[float, bool]] = field(default_factory=list)
    edge_takes_s: dict[int, float] = field(default_factory=dict)
    oversleeps_s: float = 0.0
    fails_at: int | None = None
    low: bool = False
    sent_s: float | None = None

    def now_s(self) -> float:
        self.at_s += TICK_S
        return self.at_s

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds + self.oversleeps_s

    def hold(self, low: bool) -> None:
        number = len(self.edges)
        if number == self.fails_at:
            self.fails_at = None
            raise KLineError("the adapter is unplugged")
        self.edges.append((self.at_s, low))
        self.at_s += self.edge_takes_s.get(number, 0.0)
        self.low = low

    def first_byte(self) -> None:
        self.sent_s = self.at_s

    @property
    def watch(self) -> Watch:
        return Watch(self.now_s, self.sleep)


def test_a_pulse_is_25_ms_low_and_its_request_begins_after_50() -> None:
    bench = Bench()
    pulse = wake_pulse(bench, bench.first_byte, bench.watch)
    (_, first), (fall_s, fell), (rise_s, rose), (_, last) = bench.edges
    assert (first, fell, rose, last) == (False, True, False, False)
    assert rise_s - fall_s == pytest.approx(0.025, abs=0.0001)
    assert bench.sent_s is not None and bench.sent_s - fall_s == pytest.approx(0.050, abs=0.0001)
    assert pulse.low.shortest_s <= rise_s - fall_s <= pulse.low.longest_s
    assert pulse.is_good


def test_a_slow_first_call_of_an_adapter_costs_nothing() -> None:
    bench = Bench(edge_takes_s={0: 0.030})
    assert wake_pulse(bench, bench.first_byte, bench.watch).is_good


@pytest.mark.parametrize("slow", [1, 2])
def test_an_edge_that_took_more_than_a_millisecond_is_refused_before_a_byte_is_sent(slow: int) -> None:
    bench = Bench(edge_takes_s={slow: 0.0021})
    with pytest.raises(WakeTimingError, match="ms low"):
        wake_pulse(bench, bench.first_byte, bench.watch)
    assert bench.sent_s is None and bench.low is False


def test_a_box_that_oversleeps_refuses_its_own_pulse() -> None:
    bench = Bench(oversleeps_s=0.0045)
    with pytest.raises(WakeTimingError):
        wake_pulse(bench, bench.first_byte, bench.watch)
    assert bench.sent_s is None and bench.low is False


def test_a_first_byte_that_was_held_up_is_told() -> None:
    bench = Bench()

    def held_up() -> None:
        bench.at_s += 0.0015

    with pytest.raises(WakeTimingError):
        wake_pulse(bench, held_up, bench.watch)


def test_an_address_is_sent_from_its_lowest_bit_with_equal_bits_as_one() -> None:
    bench = Bench()
    address_bits(bench, 0x33, bench.watch)
    (began_s, _), *edges, _ = bench.edges
    bits = [(round((at_s - began_s) / 0.2), low) for at_s, low in edges]
    assert bits == [(0, True), (1, False), (3, True), (5, False), (7, True), (9, False)]
    assert bench.at_s - began_s == pytest.approx(2.0, abs=0.001)


def test_an_address_with_a_late_edge_is_refused() -> None:
    bench = Bench(oversleeps_s=0.009)
    with pytest.raises(WakeTimingError, match="bit 1 of the wake-up address"):
        address_bits(bench, 0x33, bench.watch)
    assert bench.low is False


@pytest.mark.parametrize("fails_at", range(1, 4))
def test_the_line_is_let_go_whatever_fails(fails_at: int) -> None:
    bench = Bench(fails_at=fails_at)
    with pytest.raises(KLineError):
        address_bits(bench, 0x01, bench.watch)
    assert bench.low is False
