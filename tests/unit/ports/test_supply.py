"""A supply switched by pins: off when it is made, read back, and never measured by guessing."""

from __future__ import annotations

import asyncio

import pytest

from drivers.pins.rpigpio import RpiGpioPins
from drivers.supply.interface import Output, SupplyError, SupplyReading
from drivers.supply.switched import SwitchedSupply
from drivers.voltmeter.simulated import SimulatedVoltmeter

from .gpio_board import GpioBoard

LINES = {Output.SUPPLY: "supply", Output.IGNITION: "ignition"}


def made(board: GpioBoard, meter: SimulatedVoltmeter | None = None) -> SwitchedSupply:
    pins = RpiGpioPins({"supply": 22, "ignition": 23, "boot_1": 17}, board)
    return SwitchedSupply(pins, LINES, meter or SimulatedVoltmeter(lambda: 13.5))


def test_it_is_off_when_it_is_made_and_each_output_switches_its_own_line() -> None:
    board = GpioBoard()
    supply = made(board)
    assert board.levels == {22: [0], 23: [0]}
    supply.switch(Output.SUPPLY, True)
    assert (board.input(22), board.input(23)) == (1, 0)
    supply.switch(Output.IGNITION, True)
    supply.switch(Output.SUPPLY, False)
    assert (board.input(22), board.input(23)) == (0, 1)


def test_a_switch_line_that_does_not_follow_is_an_error() -> None:
    board = GpioBoard()
    supply = made(board)
    board.outside[22] = 0
    with pytest.raises(SupplyError, match="supply: line supply does not follow"):
        supply.switch(Output.SUPPLY, True)
    board.broken = True
    with pytest.raises(SupplyError, match=r"ignition: ignition .* busy"):
        supply.switch(Output.IGNITION, True)


def test_it_reads_its_meter_and_invents_nothing() -> None:
    meter = SimulatedVoltmeter(lambda: 12.7)
    supply = made(GpioBoard(), meter)
    assert asyncio.run(supply.read()) == SupplyReading(12.7, None, False)
    meter.silent = True
    with pytest.raises(SupplyError):
        asyncio.run(supply.read())


def test_an_output_without_a_line_is_refused() -> None:
    pins = RpiGpioPins({"supply": 22}, GpioBoard())
    with pytest.raises(SupplyError, match="no line switches ignition"):
        SwitchedSupply(pins, LINES, SimulatedVoltmeter(lambda: 13.5))
