"""A supply switched by pins: off when it is made, read back, and never measured by guessing."""

from __future__ import annotations

import asyncio

import pytest

from drivers.ammeter.interface import Ammeter
from drivers.pins.rpigpio import RpiGpioPins
from drivers.supply.interface import Output, SupplyError, SupplyReading
from drivers.supply.switched import SwitchedSupply
from drivers.voltmeter.interface import Voltmeter
from drivers.voltmeter.simulated import SimulatedVoltmeter

from .gpio_board import Drawing, GpioBoard

LINES = {Output.SUPPLY: "supply", Output.IGNITION: "ignition"}


def made(
    board: GpioBoard, meter: Voltmeter | None = None, ammeter: Ammeter | None = None, probe: bool = True
) -> SwitchedSupply:
    channels = {"supply": 22, "ignition": 23, "boot_1": 17} | ({"probe": 24} if probe else {})
    pins = RpiGpioPins(channels, board)
    return SwitchedSupply(pins, LINES, meter or SimulatedVoltmeter(lambda: 13.5), ammeter)


def test_it_is_off_when_it_is_made_and_each_output_switches_its_own_line() -> None:
    board = GpioBoard()
    supply = made(board)
    assert board.levels == {22: [0], 23: [0], 24: [0]}
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


def test_it_reads_its_meters_and_invents_nothing() -> None:
    meter, ammeter = SimulatedVoltmeter(lambda: 12.7), Drawing()
    supply = made(GpioBoard(), meter, ammeter)
    assert asyncio.run(supply.read()) == SupplyReading(12.7, 0.35, False)
    ammeter.amps = None
    with pytest.raises(SupplyError, match="the ammeter does not answer"):
        asyncio.run(supply.read())
    ammeter.amps, meter.silent = 0.35, True
    with pytest.raises(SupplyError):
        asyncio.run(supply.read())


def test_without_a_sensor_for_the_current_there_is_no_reading() -> None:
    with pytest.raises(SupplyError, match="the supply has no ammeter"):
        asyncio.run(made(GpioBoard()).read())


def test_the_probe_is_fed_only_while_it_is_measured() -> None:
    board = GpioBoard()
    meter = SimulatedVoltmeter(lambda: 3.1 if board.input(24) else 0.0)
    supply = made(board, meter, Drawing())
    assert asyncio.run(supply.probe()) == 3.1
    assert board.levels[24] == [0, 1, 0] and board.levels[22] == [0]
    meter.silent = True
    with pytest.raises(SupplyError):
        asyncio.run(supply.probe())
    assert board.input(24) == 0
    with pytest.raises(SupplyError, match="no line called probe"):
        asyncio.run(made(GpioBoard(), probe=False).probe())


def test_an_output_without_a_line_is_refused() -> None:
    pins = RpiGpioPins({"supply": 22}, GpioBoard())
    with pytest.raises(SupplyError, match="no line switches ignition"):
        SwitchedSupply(pins, LINES, SimulatedVoltmeter(lambda: 13.5), Drawing())
