"""The simulated bench: the ECU runs exactly while supply, wires and pins let it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.supply.interface import Output, SupplyReading
from simulator.bench.bench import Bench
from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.faults import Fault, FaultKind, FaultPlan, Trigger
from simulator.injection import FaultInjector
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual

from .entry_bench import strapped


def on_bench(test: Callable[[Bench, Car], Awaitable[None]]) -> None:
    async def inside() -> None:
        definition = strapped()
        car = Car([definition], wires_for(definition), CarSettings())
        try:
            await test(Bench(car), car)
        finally:
            car.close()

    run_virtual(inside())


def switch_on(bench: Bench) -> None:
    bench.set_output(Output.SUPPLY, True)
    bench.set_output(Output.IGNITION, True)


def test_it_runs_with_supply_and_ignition_and_not_with_one_of_them() -> None:
    async def test(bench: Bench, car: Car) -> None:
        assert bench.is_safe and bench.measure() == SupplyReading(0.0, 0.0, False)
        bench.set_output(Output.SUPPLY, True)
        assert car.ecu.program is Program.OFF
        assert bench.measure() == SupplyReading(13.5, 0.03, False)
        bench.set_output(Output.IGNITION, True)
        await asyncio.sleep(1)
        assert car.ecu.program is Program.APPLICATION
        assert bench.measure() == SupplyReading(13.5, 0.35, False)
        bench.set_output(Output.SUPPLY, False)
        assert car.ecu.program is Program.OFF

    on_bench(test)


@pytest.mark.parametrize("wire", ["supply", "ignition", "ground"])
def test_with_an_open_wire_it_does_not_run(wire: str) -> None:
    async def test(bench: Bench, car: Car) -> None:
        bench.wires.open(wire)
        switch_on(bench)
        await asyncio.sleep(1)
        assert car.ecu.program is Program.OFF
        assert bench.measure().amps == pytest.approx(0.03 if wire == "ignition" else 0.0)
        bench.wires.mend()
        await asyncio.sleep(1)
        assert car.ecu.program is Program.APPLICATION

    on_bench(test)


def test_swapped_supply_and_ignition_draw_nothing_until_both_are_on() -> None:
    async def test(bench: Bench, car: Car) -> None:
        bench.wires.swap("supply", "ignition")
        bench.set_output(Output.SUPPLY, True)
        assert bench.measure().amps == 0.0
        assert car.ecu.program is Program.OFF

    on_bench(test)


def test_the_wrong_way_round_or_shorted_the_supply_trips_until_it_is_switched_off() -> None:
    async def test(bench: Bench, car: Car) -> None:
        for spoil in (
            lambda: bench.wires.swap("supply", "ground"),
            lambda: bench.wires.short("supply", "ground"),
            lambda: bench.wires.short("ground", "supply"),
        ):
            spoil()
            bench.set_output(Output.SUPPLY, True)
            assert bench.measure() == SupplyReading(0.0, 0.0, True)
            bench.wires.mend()
            assert bench.measure().tripped
            bench.set_output(Output.SUPPLY, False)
            assert not bench.measure().tripped
        switch_on(bench)
        bench.wires.short("ignition", "ground")
        assert bench.measure().tripped and car.ecu.program is Program.OFF

    on_bench(test)


def test_more_than_the_limit_trips() -> None:
    async def test(bench: Bench, car: Car) -> None:
        bench.supply.limit_a = 0.1
        bench.set_output(Output.SUPPLY, True)
        assert not bench.measure().tripped
        bench.set_output(Output.IGNITION, True)
        assert bench.measure().tripped

    on_bench(test)


def test_a_sag_under_the_brown_out_restarts_it() -> None:
    async def test(bench: Bench, car: Car) -> None:
        switch_on(bench)
        await asyncio.sleep(1)
        bench.supply.sag(9.0, 1.0)
        assert bench.measure().volts == 9.0 and car.ecu.program is Program.APPLICATION
        bench.supply.sag(4.0, 0.5)
        assert car.ecu.program is Program.OFF
        await asyncio.sleep(2)
        assert bench.measure().volts == 13.5 and car.ecu.program is Program.APPLICATION

    on_bench(test)


def test_the_strap_counts_when_it_starts_and_not_later() -> None:
    async def test(bench: Bench, car: Car) -> None:
        bench.set_line("boot_1", False)
        switch_on(bench)
        bench.set_line("boot_1", None)
        await asyncio.sleep(1)
        assert car.ecu.program is Program.BOOTLOADER
        bench.set_line("reset", False)
        assert car.ecu.program is Program.OFF
        bench.set_line("reset", None)
        await asyncio.sleep(1)
        assert car.ecu.program is Program.APPLICATION

    on_bench(test)


def test_a_line_reads_what_is_on_it() -> None:
    async def test(bench: Bench, car: Car) -> None:
        assert not bench.line_is_high("reset"), "without a supply nothing pulls it up"
        bench.set_output(Output.SUPPLY, True)
        assert bench.line_is_high("reset") and not bench.line_is_high("boot_2")
        bench.wires.swap("reset", "boot_2")
        assert not bench.line_is_high("reset") and bench.line_is_high("boot_2")
        bench.wires.mend()
        bench.wires.open("reset")
        assert not bench.line_is_high("reset")
        bench.set_line("boot_2", True)
        assert bench.line_is_high("boot_2")
        bench.wires.short("boot_2", "ground")
        assert not bench.line_is_high("boot_2")
        bench.wires.short("boot_1", "supply")
        bench.set_line("boot_1", False)
        assert bench.line_is_high("boot_1")

    on_bench(test)


def test_the_supply_on_a_strap_is_remembered_as_harm() -> None:
    async def test(bench: Bench, car: Car) -> None:
        bench.wires.swap("supply", "boot_1")
        assert not bench.harm
        bench.set_output(Output.SUPPLY, True)
        assert bench.harm == {"boot_1"}

    on_bench(test)


def test_a_power_cut_on_the_bench_ends_with_what_the_bench_supplies() -> None:
    async def test(bench: Bench, car: Car) -> None:
        cut = Fault(kind=FaultKind.POWER_CUT, on=Trigger.TIME, at=1.0, duration_s=1.0)
        FaultInjector(FaultPlan(faults=(cut, cut.model_copy(update={"at": 9.0}))), car)
        switch_on(bench)
        await asyncio.sleep(1.5)
        assert car.ecu.program is Program.OFF
        await asyncio.sleep(2)
        assert car.ecu.program is Program.APPLICATION
        bench.set_output(Output.SUPPLY, False)
        await asyncio.sleep(8)
        assert car.ecu.program is Program.OFF, "nothing supplies it"

    on_bench(test)


def struck(kind: FaultKind, **more: Any) -> FaultPlan:
    return FaultPlan(faults=(Fault(kind=kind, on=Trigger.TIME, at=1.0, **more),))


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        (struck(FaultKind.SUPPLY_TRIP), SupplyReading(0.0, 0.0, True)),
        (struck(FaultKind.SUPPLY_SAG, volts=9.0, duration_s=1.0), SupplyReading(9.0, 0.35, False)),
        (struck(FaultKind.WIRE_OPEN, wire="ground", duration_s=1.0), SupplyReading(13.5, 0.0, False)),
        (
            struck(FaultKind.WIRES_SWAPPED, wire="ignition", other="boot_1", duration_s=1.0),
            SupplyReading(13.5, 0.03, False),
        ),
        (struck(FaultKind.WIRE_SHORTED, wire="supply", other="ground"), SupplyReading(0.0, 0.0, True)),
    ],
)
def test_a_fault_plan_strikes_the_bench(plan: FaultPlan, found: SupplyReading) -> None:
    async def test(bench: Bench, car: Car) -> None:
        FaultInjector(plan, car, bench=bench)
        switch_on(bench)
        await asyncio.sleep(1.5)
        assert bench.measure() == found
        await asyncio.sleep(2)
        mended = SupplyReading(13.5, 0.35, False)
        assert bench.measure() == (found if found.tripped else mended)

    on_bench(test)


def test_a_car_has_no_wires_to_be_swapped() -> None:
    async def test(bench: Bench, car: Car) -> None:
        with pytest.raises(ValueError, match="need a bench"):
            FaultInjector(struck(FaultKind.SUPPLY_TRIP), car)

    on_bench(test)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (FaultKind.WIRE_OPEN, {}),
        (FaultKind.WIRE_OPEN, {"wire": "boot_9"}),
        (FaultKind.WIRE_SHORTED, {"wire": "supply", "other": "reset"}),
        (FaultKind.WIRES_SWAPPED, {"wire": "supply"}),
        (FaultKind.SUPPLY_TRIP, {"wire": "supply"}),
        (FaultKind.SUPPLY_SAG, {"volts": 3.0}),
    ],
)
def test_a_bench_fault_that_names_no_wire_of_the_bench_is_refused(
    kind: FaultKind, more: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError, match=r"must be one of|needs duration_s"):
        struck(kind, **more)


def test_when_the_box_dies_its_lines_float_and_its_switches_fall_off() -> None:
    async def test(bench: Bench, car: Car) -> None:
        bench.set_line("boot_1", False)
        switch_on(bench)
        bench.box_dies()
        assert bench.is_safe and car.ecu.program is Program.OFF

    on_bench(test)
