from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.errors import PitboxError
from appliance.contract.events import AlarmEvent, Event
from appliance.contract.gates import GateVerdict
from appliance.contract.voltage import Voltage as SupplyVoltage
from appliance.definitions.access.base import Voltage
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.judging import CAR_GATES, judge_car
from appliance.flashing.image import MemoryImage
from appliance.flashing.power import Meter, PowerGuard, assess
from simulator.virtualtime import run_virtual
from tests.support.box import AllClear, SteadyMeter, request_for, small_definition

WINDOW = Voltage(min_v=12.5, max_v=14.8, target_v=13.5, ripple_v=0.3, steady_s=5.0)


class Supply:
    """Volts as a function of the loop's seconds; None is a meter that does not answer."""

    source = "script"

    def __init__(self, volts: Callable[[float], float | None], reading_takes_s: float = 0.0) -> None:
        self._volts = volts
        self._takes_s = reading_takes_s

    async def read_v(self) -> float:
        await asyncio.sleep(self._takes_s)
        value = self._volts(asyncio.get_running_loop().time())
        if value is None:
            raise ConnectionError("the voltmeter is not fitted")
        return value


def aged(voltage: SupplyVoltage | None) -> tuple[float, float]:
    assert voltage is not None and voltage.source == "script"
    return voltage.volts, voltage.age_s


def pulsing(period_s: float) -> Callable[[float], float]:
    """A charger that charges half the time, 0.6 V higher."""
    return lambda now: 13.8 if (now + 0.003) % period_s < period_s / 2 else 13.2


def gates(supply: Meter) -> dict[str, GateVerdict]:
    async def measure() -> list[GateVerdict]:
        job: Any = SimpleNamespace(power=PowerGuard(supply, WINDOW, lambda event: None))
        check = CarCheck(job, request_for(small_definition(), MemoryImage({}), None), AllClear())
        return [await judge_car(gate, check) for gate in CAR_GATES if gate.name.startswith("voltage")]

    verdicts = run_virtual(measure())
    assert [gate.name for gate in verdicts] == ["voltage_window", "voltage_steady", "voltage_ripple"]
    return {gate.name.removeprefix("voltage_"): gate for gate in verdicts}


def failing(supply: Meter) -> set[str]:
    return {name for name, gate in gates(supply).items() if not gate.passed}


@pytest.mark.parametrize("volts", [12.5, 13.5, 14.8])
def test_a_steady_supply_inside_the_window_passes(volts: float) -> None:
    assert failing(SteadyMeter(volts)) == set()


@pytest.mark.parametrize("volts", [0.0, 12.49, 14.81, 24.0, math.nan])
def test_a_supply_outside_the_window_fails_that_gate_alone(volts: float) -> None:
    assert "window" in failing(SteadyMeter(volts))


def test_one_dip_is_enough() -> None:
    assert "window" in failing(Supply(lambda now: 12.0 if 2.0 < now < 2.03 else 13.5))


@pytest.mark.parametrize("period_s", [0.01, 0.02, 0.1, 0.5, 2.0])
def test_a_pulsing_charger_fails_the_ripple_gate_and_is_named(period_s: float) -> None:
    found = gates(Supply(pulsing(period_s)))
    assert not found["ripple"].passed
    assert "charger is pulsing" in found["ripple"].detail
    assert found["window"].passed


@pytest.mark.parametrize("takes_s", [0.0, 0.002, 0.05])
def test_a_sagging_battery_fails_the_steadiness_gate_alone(takes_s: float) -> None:
    found = gates(Supply(lambda now: 13.5 - 0.05 * now, takes_s))
    assert {name for name, gate in found.items() if not gate.passed} == {"steady"}
    assert "-3.0 V per minute" in found["steady"].detail


def test_a_missing_meter_fails_every_gate_and_invents_no_volts() -> None:
    found = gates(Supply(lambda now: None))
    assert all(gate.verdict == "fail" and "not fitted" in gate.detail for gate in found.values())
    guard = PowerGuard(Supply(lambda now: None), WINDOW, lambda event: None)
    with pytest.raises(ConnectionError):
        run_virtual(guard.measured())
    assert (guard.answers, guard.voltage(), guard.span()) == (False, None, None)


def test_the_gates_watch_for_as_long_as_the_definition_says() -> None:
    async def measured_s(takes_s: float) -> float:
        await PowerGuard(Supply(lambda now: 13.5, takes_s), WINDOW, lambda event: None).measured()
        return asyncio.get_running_loop().time()

    for takes_s in (0.0, 0.003, 0.1):
        assert run_virtual(measured_s(takes_s)) == pytest.approx(WINDOW.steady_s, abs=0.15)


@given(st.lists(st.floats(6, 32), min_size=4, max_size=200), st.floats(0.1, 60))
def test_statistics_of_any_samples(samples: list[float], seconds: float) -> None:
    reading = assess(samples, seconds)
    slack = 1e-6
    assert reading.min_v - slack <= reading.mean_v <= reading.max_v + slack
    assert reading.ripple_v >= 0
    assert abs(reading.drift_v_per_s) * seconds * 0.75 <= reading.max_v - reading.min_v + slack


@given(st.floats(6, 32), st.floats(-0.5, 0.5), st.integers(4, 400), st.floats(1, 60))
def test_a_straight_line_is_drift_and_no_ripple(
    start: float, slope: float, count: int, seconds: float
) -> None:
    samples = [start + slope * seconds * index / count for index in range(count)]
    reading = assess(samples, seconds)
    assert reading.drift_v_per_s == pytest.approx(slope, rel=0.35, abs=1e-6)
    assert reading.ripple_v <= abs(slope) * seconds * 0.35 + 1e-6


def waited(volts: Callable[[float], float | None], before: float = 0.0) -> tuple[float, list[AlarmEvent]]:
    """Seconds a write would wait between two blocks, `before` seconds from now, and the alarms meanwhile."""
    events: list[Event] = []

    async def wait() -> float:
        guard = PowerGuard(Supply(volts), WINDOW, events.append, "job")
        await asyncio.sleep(before)
        return await guard.wait_until_good()

    seconds = run_virtual(wait())
    return seconds, [event for event in events if isinstance(event, AlarmEvent)]


def test_a_good_supply_costs_no_time() -> None:
    assert waited(lambda now: 13.5) == (0.0, [])


@pytest.mark.parametrize("bad", [11.9, 15.2, None])
def test_a_bad_supply_is_waited_for_and_alarmed_once(bad: float | None) -> None:
    seconds, alarms = waited(lambda now: bad if now < 90.0 else 13.4)
    assert 91.0 <= seconds < 91.5
    assert [alarm.raised for alarm in alarms] == [True, False]
    assert {(alarm.code, alarm.job_id) for alarm in alarms} == {("POWER_OUT_OF_WINDOW", "job")}
    assert ("no reading" if bad is None else f"{bad} V") in alarms[0].text
    assert "13.4 V" in alarms[1].text


def test_a_half_written_ecu_is_finished_though_the_voltmeter_is_dead() -> None:
    events: list[Event] = []

    async def wait() -> tuple[float, float, float]:
        supply = Supply(lambda now: 13.4 if now < 5.0 or now > 100.0 else None)
        guard = PowerGuard(supply, WINDOW, events.append, "job")
        good = await guard.wait_until_good(may_go_blind=True)
        await asyncio.sleep(6.0)
        first = await guard.wait_until_good(may_go_blind=True)
        next_one = await guard.wait_until_good(may_go_blind=True)
        await asyncio.sleep(100.0)
        assert await guard.wait_until_good(may_go_blind=True) == 0.0, "the meter is back"
        return good, first, next_one

    good, first, next_one = run_virtual(wait())
    assert (good, next_one) == (0.0, 0.0)
    assert 3.9 <= first <= 10.2
    alarms = [event for event in events if isinstance(event, AlarmEvent) and event.code == "POWER_UNKNOWN"]
    assert [(alarm.job_id, alarm.raised) for alarm in alarms] == [("job", True)]


def test_a_supply_that_reads_badly_is_waited_for_even_when_half_written() -> None:
    async def wait() -> float:
        guard = PowerGuard(Supply(lambda now: 11.0 if now < 60.0 else 13.4), WINDOW, lambda event: None)
        return await guard.wait_until_good(may_go_blind=True)

    assert run_virtual(wait()) >= 60.0


@pytest.mark.parametrize("gone", [0.0, 11.9, None])
def test_the_boxs_own_supply_is_not_waited_for_beyond_half_a_minute(gone: float | None) -> None:
    events: list[Event] = []

    async def wait() -> float:
        supply = Supply(lambda now: 13.4 if now < 5.0 else gone)
        guard = PowerGuard(supply, WINDOW, events.append, "job", own_supply=True)
        assert await guard.wait_until_good() == 0.0
        await asyncio.sleep(6.0)
        with pytest.raises(PitboxError) as lost:
            await guard.wait_until_good()
        assert lost.value.code == "BENCH_SUPPLY_LOST" and "from ground on" in lost.value.do_now
        return asyncio.get_running_loop().time()

    assert 36.0 <= run_virtual(wait()) <= 36.2
    alarms = [event for event in events if isinstance(event, AlarmEvent)]
    assert [(alarm.code, alarm.raised) for alarm in alarms] == [("POWER_OUT_OF_WINDOW", True)]


@pytest.mark.parametrize(("own_supply", "away_s"), [(True, 29.0), (False, 900.0)])
def test_a_supply_that_comes_back_in_time_goes_on(own_supply: bool, away_s: float) -> None:
    async def wait() -> float:
        supply = Supply(lambda now: 0.0 if now < away_s else 13.4)
        return await PowerGuard(supply, WINDOW, lambda event: None, own_supply=own_supply).wait_until_good()

    seconds = run_virtual(wait())
    assert away_s + 1.0 <= seconds < away_s + 1.5


def test_a_supply_must_stay_good_for_a_second() -> None:
    seconds, alarms = waited(lambda now: 13.4 if now > 20.0 or now % 1.0 > 0.5 else 12.0)
    assert 20.5 <= seconds < 21.5
    assert len(alarms) == 2


def test_an_alarm_shows_a_reading_from_before_as_such() -> None:
    events: list[Event] = []

    async def run() -> None:
        guard = PowerGuard(Supply(lambda now: 13.5 if now < 1 or now > 9 else None), WINDOW, events.append)
        await guard.wait_until_good()
        await asyncio.sleep(2.0)
        await guard.wait_until_good()

    run_virtual(run())
    first, last = (event for event in events if isinstance(event, AlarmEvent))
    assert first.key == "supply_lost" and first.fields["age_s"] == pytest.approx(2.0)
    assert first.text.startswith("Supply no reading for 2.0 s, 13.5 V (script) before that; wanted 12.5")
    assert last.text == "Supply is good again (13.5 V, script, 0.0 s ago): going on."


def test_an_alarm_before_the_first_reading_shows_none() -> None:
    _, alarms = waited(lambda now: 13.5 if now > 5 else None)
    assert alarms[0].text.startswith("Supply no reading, wanted 12.5 to 14.8 V: waiting")


def test_a_gate_says_how_old_its_voltages_are() -> None:
    found = gates(Supply(lambda now: 13.5))
    assert "13.50 to 13.50 V (script, 0.0 s ago)" in found["window"].detail
    for gate in found.values():
        assert {"age_s", "source"} <= gate.findings[0].fields.keys()


def test_the_watch_keeps_the_extremes_and_survives_a_meter_that_stumbles() -> None:
    def volts(now: float) -> float | None:
        return None if 1.0 < now < 2.0 else 12.0 if 3.0 < now < 3.5 else 13.5

    async def run() -> list[tuple[float, float]]:
        guard = PowerGuard(Supply(volts), WINDOW, lambda event: None)
        guard.start()
        guard.start()
        shown = []
        for _ in range(4):
            await asyncio.sleep(1.45)
            shown.append(aged(guard.voltage()))
        await guard.stop()
        await guard.stop()
        before_v, before_s = aged(guard.voltage())
        await asyncio.sleep(5)
        assert aged(guard.voltage()) == (before_v, pytest.approx(before_s + 5, abs=0.01))
        low, high = guard.span() or ()
        assert (low.volts, high.volts) == (12.0, 13.5)
        assert low.age_s == pytest.approx(5.8 + 5 - 3.0, abs=0.2), "when it was first so low"
        return shown

    (volts_then, age_s), *later = run_virtual(run())
    assert (volts_then, age_s) == (13.5, pytest.approx(0.45, abs=0.11)), "the last one before it stumbled"
    assert all(volts_now == 13.5 and 0 <= old_s < 0.11 for volts_now, old_s in later)
