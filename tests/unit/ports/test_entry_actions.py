"""Single steps of an entry: how it is known that each was done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from appliance.contract.errors import PitboxError
from appliance.flashing.entry_actions import Actions, EntryError
from appliance.protocols.port_missing import PortMissingError
from drivers.pins.interface import Pins
from drivers.supply.interface import Output, SupplyReading
from simulator.virtualtime import run_virtual

from .entry_bench import EntryBench, entry_of

SUPPLY_ON = '[[steps]]\nverb = "supply_on"\nmin_v = 11.5\nmax_v = 14.5\n'
IGNITION_ON = '[[steps]]\nverb = "ignition_on"\nmin_v = 11.5\nmax_v = 14.5\nmin_a = 0.2\n'
ENDING = '[[ending]]\nverb = "supply_off"\n'


def on_bench(test: Callable[[EntryBench], Awaitable[None]]) -> None:
    async def inside() -> None:
        bench = EntryBench()
        try:
            await test(bench)
        finally:
            bench.car.close()

    run_virtual(inside())


def step(verb: str, **fields: object) -> str:
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in fields.items()]
    return "\n".join(["[[steps]]", f'verb = "{verb}"', *lines, ""])


async def perform(bench: EntryBench, text: str) -> Actions:
    actions = Actions(bench.ports, None)
    for one in entry_of(text + ENDING if "supply_on" in text else text).steps:
        await actions.perform(one)
    return actions


class Trace:
    """Pins whose every level is noted with its time."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins
        self.levels: list[tuple[float, bool]] = []
        self.names = pins.names

    def drive(self, name: str, high: bool) -> None:
        self.levels.append((round(asyncio.get_running_loop().time(), 3), high))
        self._pins.drive(name, high)

    def release(self, name: str) -> None:
        self._pins.release(name)

    def read(self, name: str) -> bool:
        return self._pins.read(name)


PULSES = step("pulse_pin", pin="reset", level="low", width_ms=10, times=3)


def test_pulses_are_as_many_and_as_wide_as_asked_for() -> None:
    async def test(bench: EntryBench) -> None:
        trace = Trace(bench.pins)
        bench.ports._pins = trace  # type: ignore[assignment]
        await perform(bench, PULSES + '[[ending]]\nverb = "release_pin"\npin = "reset"\n')
        assert trace.levels[:6] == [
            (0.0, False),
            (0.01, True),
            (0.02, False),
            (0.03, True),
            (0.04, False),
            (0.05, True),
        ]
        assert bench.bench.driven == {"reset": True}

    on_bench(test)


@pytest.mark.parametrize("stuck", [True, False])
def test_a_pulse_on_a_line_that_does_not_follow_is_no_pulse(stuck: bool) -> None:
    async def test(bench: EntryBench) -> None:
        bench.pins.stuck["reset"] = stuck
        with pytest.raises(EntryError) as refused:
            await perform(bench, PULSES + '[[ending]]\nverb = "release_pin"\npin = "reset"\n')
        assert refused.value.code == "PIN_NOT_FOLLOWING"
        assert f"driven {'low' if stuck else 'high'}" in refused.value.what

    on_bench(test)


def test_a_supply_that_bounces_is_not_at_rest() -> None:
    async def test(bench: EntryBench) -> None:
        readings = iter([13.0, 9.0, 13.0, 13.0, 9.0, 13.0, 13.0, 13.0])

        async def read() -> SupplyReading:
            return SupplyReading(next(readings), 0.03)

        bench.supply.read = read  # type: ignore[method-assign]
        await perform(bench, SUPPLY_ON)
        assert not list(readings)

    on_bench(test)


def test_a_trip_is_told_at_once_and_a_window_that_is_missed_at_its_end() -> None:
    async def test(bench: EntryBench) -> None:
        loop = asyncio.get_running_loop()
        bench.bench.wires.short("supply", "ground")
        with pytest.raises(EntryError, match="SUPPLY_TRIPPED"):
            await perform(bench, SUPPLY_ON)
        assert loop.time() == 0.0
        bench.bench.wires.mend()
        bench.bench.set_output(Output.SUPPLY, False)
        bench.bench.supply.set_volts(9.0)
        with pytest.raises(EntryError, match="SUPPLY_OUT_OF_WINDOW"):
            await perform(bench, SUPPLY_ON)
        assert loop.time() == pytest.approx(2.0, abs=0.05)

    on_bench(test)


def test_a_controller_in_reset_may_draw_next_to_nothing() -> None:
    async def test(bench: EntryBench) -> None:
        held = step("set_pin", pin="reset", level="low") + step("wait", seconds=5)
        actions = await perform(bench, SUPPLY_ON + IGNITION_ON)
        bench.bench.wires.open("ignition")
        for one in entry_of(held + '[[ending]]\nverb = "release_pin"\npin = "reset"\n').steps:
            await actions.perform(one)
        assert bench.bench.measure().amps == 0.03
        await actions.check_supply()

    on_bench(test)


@pytest.mark.parametrize("ignition_off", [False, True])
def test_a_sag_while_something_is_waited_for_ends_the_wait_also_with_the_ignition_off(
    ignition_off: bool,
) -> None:
    async def test(bench: EntryBench) -> None:
        loop = asyncio.get_running_loop()
        off = step("ignition_off") if ignition_off else ""
        loop.call_later(10.0, bench.bench.supply.sag, 9.0, 0.6)
        with pytest.raises(EntryError, match="SUPPLY_OUT_OF_WINDOW"):
            await perform(bench, SUPPLY_ON + IGNITION_ON + off + step("wait", seconds=30))
        assert loop.time() == pytest.approx(10.4, abs=0.15)

    on_bench(test)


def test_with_the_supply_off_nothing_is_watched() -> None:
    async def test(bench: EntryBench) -> None:
        actions = await perform(bench, SUPPLY_ON + step("supply_off") + step("wait", seconds=5))
        await actions.check_supply()
        assert bench.bench.measure().volts == 0.0

    on_bench(test)


def test_a_supply_that_stays_on_is_no_supply_off() -> None:
    async def test(bench: EntryBench) -> None:
        actions = await perform(bench, SUPPLY_ON)
        bench.supply.welded = {Output.SUPPLY}
        with pytest.raises(EntryError, match=r"SUPPLY_STAYS_ON: .* 13\.5 V, 0\.03 A"):
            await actions.perform(entry_of(SUPPLY_ON + ENDING).ending[0])

    on_bench(test)


def test_a_level_that_comes_in_time_is_taken() -> None:
    async def test(bench: EntryBench) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, bench.bench.set_output, Output.SUPPLY, True)
        await perform(bench, step("check_pin", pin="reset", level="high", within_s=2))
        assert loop.time() == pytest.approx(1.0, abs=0.05)

    on_bench(test)


def test_a_person_that_a_box_has_not_got_is_missed_before_anything_moves() -> None:
    async def test(bench: EntryBench) -> None:
        bench.ports._person = None
        with pytest.raises(PortMissingError):
            async with bench.entry():
                raise AssertionError("it was entered")
        assert not bench.events and bench.bench.is_safe

    on_bench(test)


def test_a_failed_entry_that_would_have_kept_its_supply_is_measured_off() -> None:
    async def test(bench: EntryBench) -> None:
        kept = "keep_supply = true\n" + SUPPLY_ON + step("check_pin", pin="boot_2", level="high")
        bench.supply.welded = {Output.SUPPLY}
        bench.bench.set_output(Output.SUPPLY, True)
        with pytest.raises(PitboxError) as refused:
            async with bench.entry(entry_of(kept)):
                raise AssertionError("it was entered")
        assert refused.value.code == "PIN_LEVEL"
        assert any("still at its output" in one for one in refused.value.details)
        assert bench.alarms == ["LINES_NOT_SAFE"]

    on_bench(test)
