"""One car interface hands out every port; what a box has not got is told by name."""

from __future__ import annotations

import asyncio
import os
import pty
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.contract.errors import PitboxError
from appliance.engine.entering import let_go
from appliance.ports import real, simulated
from appliance.ports.missing import MissingPorts
from appliance.ports.real import RealCarInterface
from appliance.ports.settings import SimulationSettings
from drivers.person.simulated import SimulatedPerson
from drivers.pins.rpigpio import RpiGpioPins
from drivers.supply.interface import Output
from simulator.ecu.chip import Program
from simulator.virtualtime import run_virtual

from .gpio_board import Drawing, GpioBoard

NAMES: dict[str, Callable[[MissingPorts], object]] = {
    "K-line": lambda car: car.kline(),
    "UART": lambda car: car.uart(),
    "Ethernet port": lambda car: car.ethernet(),
    "test access port": lambda car: car.tap(),
    "pins": lambda car: car.pins(),
    "bench supply": lambda car: car.supply(),
    "person to ask": lambda car: car.person(),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_port_is_told_by_its_name(name: str) -> None:
    for car in (MissingPorts(), RealCarInterface("virtual:nothing", None)):
        with pytest.raises(PitboxError) as refused:
            NAMES[name](car)
        assert refused.value.code == "PORT_MISSING"
        assert name in refused.value.what and refused.value.details == (name,)
        assert "Choose another access" in refused.value.do_now


def test_the_lines_named_at_the_start_are_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    board = GpioBoard()
    monkeypatch.setattr(
        real,
        "open_pins",
        lambda spec: RpiGpioPins({"boot_1": 17, "supply": 22, "ignition": 23}, board),
    )
    monkeypatch.setattr(real, "open_ammeter", lambda spec: Drawing())
    person = SimulatedPerson({})
    car = RealCarInterface("virtual:nothing", "simulated:13.5", "rpi:any", person, ammeter="any")
    car.pins().drive("boot_1", True)
    car.supply().switch(Output.SUPPLY, True)
    assert (board.input(17), board.input(22), board.input(23)) == (1, 1, 0)
    assert car.person() is person


def test_the_k_line_named_at_the_start_is_handed_out_and_one_that_is_not_there_is_missing_hardware() -> None:
    async def ask(device: str) -> None:
        car = RealCarInterface("virtual:nothing", None, kline=f"serial:{device}")
        line = car.kline()
        assert line.rate_bps == 10_400
        line.close()

    master, slave = pty.openpty()
    asyncio.run(ask(os.ttyname(slave)))
    os.close(master)
    os.close(slave)
    with pytest.raises(PitboxError, match="/dev/there-is-none") as refused:
        asyncio.run(ask("/dev/there-is-none"))
    assert refused.value.code == "HARDWARE_MISSING"


@pytest.mark.parametrize(
    ("pins", "told"),
    [("rpi:boot_1=17", "install rpi-lgpio"), ("boot_1", "write them like rpi:")],
)
def test_pins_that_cannot_be_had_are_missing_hardware(pins: str, told: str) -> None:
    with pytest.raises(PitboxError) as refused:
        RealCarInterface("virtual:nothing", None, pins)
    assert refused.value.code == "HARDWARE_MISSING" and told in refused.value.what


def test_a_supply_with_one_of_its_two_lines_is_missing_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "open_pins", lambda spec: RpiGpioPins({"supply": 22}, GpioBoard()))
    with pytest.raises(PitboxError) as refused:
        RealCarInterface("virtual:nothing", None, "rpi:any")
    assert refused.value.code == "HARDWARE_MISSING" and "ignition" in refused.value.what


def test_a_supply_whose_current_nothing_measures_is_off_and_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    board = GpioBoard()
    monkeypatch.setattr(real, "open_pins", lambda spec: RpiGpioPins({"supply": 22, "ignition": 23}, board))
    car = RealCarInterface("virtual:nothing", "simulated:13.5", "rpi:any")
    with pytest.raises(PitboxError) as refused:
        car.supply()
    assert refused.value.code == "PORT_MISSING"
    assert refused.value.details == ("ammeter of the bench supply",) and "--ammeter" in refused.value.do_now
    assert (board.input(22), board.input(23)) == (0, 0)


@pytest.mark.parametrize("spec", ["ina226:/dev/there-is-none:0x41:0.01", "ina226:0x41", "x:/dev/i2c-1:1:1"])
def test_an_ammeter_that_cannot_be_had_is_missing_hardware(spec: str) -> None:
    with pytest.raises(PitboxError) as refused:
        RealCarInterface("virtual:nothing", None, ammeter=spec)
    assert refused.value.code == "HARDWARE_MISSING"


def test_at_the_end_of_the_engine_every_line_is_let_go(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    board = GpioBoard()
    monkeypatch.setattr(
        real,
        "open_pins",
        lambda spec: RpiGpioPins({"boot_1": 17, "reset": 27, "supply": 22, "ignition": 23}, board),
    )
    monkeypatch.setattr(real, "open_ammeter", lambda spec: Drawing())
    car = RealCarInterface("virtual:nothing", "simulated:13.5", "rpi:any", ammeter="any")
    for output in Output:
        car.supply().switch(output, True)
    car.pins().drive("boot_1", True)
    let_go(car)
    assert board.levels.keys() == {22, 23}, "the switches alone are driven"
    assert (board.input(22), board.input(23)) == (0, 0)
    let_go(RealCarInterface("virtual:nothing", None))
    assert not caplog.records
    board.broken = True
    let_go(car)
    assert "boot_1 is not released" in caplog.text and "supply is not switched off" in caplog.text


@pytest.mark.parametrize("bench", [False, True])
def test_a_simulated_ecu_lies_on_a_bench_where_that_is_asked_for(tmp_path: Path, bench: bool) -> None:
    wanted = SimulationSettings("pbx-x050", bench=bench)

    async def scene() -> None:
        connection = await simulated.connect(wanted)
        ecu = connection.car.ecu
        assert ecu.program is (Program.OFF if bench else Program.APPLICATION)
        if bench:
            connection.supply().switch(Output.SUPPLY, True)
            connection.supply().switch(Output.IGNITION, True)
            await asyncio.sleep(1)
            assert ecu.program is Program.APPLICATION
            assert "reset" in connection.pins().names
        else:
            with pytest.raises(PitboxError, match="PORT_MISSING"):
                connection.supply()
        connection.car.close()

    run_virtual(scene())
