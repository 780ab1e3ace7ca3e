"""Voltmeters: the arithmetic and the refusals of the real one, and its simulated twin."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from drivers.factory import open_can, open_voltmeter
from drivers.voltmeter.interface import VoltmeterError
from drivers.voltmeter.simulated import SimulatedVoltmeter
from tests.support.ina226_chip import FakeChip


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeChip:
    return FakeChip(monkeypatch, tmp_path / "i2c-1")


def test_volts_are_register_steps_times_the_divider(chip: FakeChip, tmp_path: Path) -> None:
    meter = open_voltmeter(f"ina226:{tmp_path}/i2c-1:0x40")
    assert chip.address == 0x40
    assert asyncio.run(meter.read_v()) == pytest.approx(12.5)
    calibrated = open_voltmeter(f"ina226:{tmp_path}/i2c-1:64", gain=1.1, offset_v=-0.05)
    assert asyncio.run(calibrated.read_v()) == pytest.approx(13.7)


def test_another_chip_at_the_address_is_refused(chip: FakeChip, tmp_path: Path) -> None:
    chip.registers[0xFE] = 0x1234
    with pytest.raises(VoltmeterError, match=r"i2c-1, address 0x40: another chip.*0x1234"):
        open_voltmeter(f"ina226:{tmp_path}/i2c-1:0x40")


def test_a_meter_that_stops_answering_gives_no_reading(chip: FakeChip, tmp_path: Path) -> None:
    meter = open_voltmeter(f"ina226:{tmp_path}/i2c-1:0x40")
    chip.answers = False
    with pytest.raises(VoltmeterError, match="Remote I/O error"):
        asyncio.run(meter.read_v())
    chip.answers, chip.short = True, True
    with pytest.raises(VoltmeterError, match="broke off"):
        asyncio.run(meter.read_v())


def test_a_missing_device_is_named() -> None:
    with pytest.raises(VoltmeterError, match=r"/dev/i2c-99.*No such file"):
        open_voltmeter("ina226:/dev/i2c-99:0x40")


def test_a_device_that_is_no_i2c_bus_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VoltmeterError, match=r"file, address 0x40: Inappropriate ioctl"):
        open_voltmeter(f"ina226:{tmp_path}/file:0x40")


@pytest.mark.parametrize("spec", ["", "ina226", "ina226:", "ina226:/dev/i2c-1", "multimeter:/dev/x:0x40"])
def test_names_that_mean_no_voltmeter_list_the_choices(spec: str) -> None:
    with pytest.raises(ValueError, match="is not a voltmeter; write one like ina226:/dev/i2c-1:0x40"):
        open_voltmeter(spec)


def test_an_address_must_be_a_number() -> None:
    with pytest.raises(ValueError, match=r"'forty' in .* is not an I2C address"):
        open_voltmeter("ina226:/dev/i2c-1:forty")


@pytest.mark.parametrize("spec", ["", "can0", "socketcan:", ":can0"])
def test_names_that_mean_no_bus_list_the_choices(spec: str) -> None:
    with pytest.raises(ValueError, match="is not a CAN bus; write one like socketcan:can0 or udp_multicast:"):
        open_can(spec, 500_000)


def test_the_simulated_meter_follows_its_supply_sticks_and_falls_silent() -> None:
    async def main() -> None:
        supply = iter((13.1, 12.9, 12.7))
        meter = SimulatedVoltmeter(lambda: next(supply))
        assert [await meter.read_v(), await meter.read_v()] == [13.1, 12.9]
        meter.stuck = True
        assert [await meter.read_v(), await meter.read_v()] == [12.9, 12.9]
        meter.stuck = False
        assert await meter.read_v() == 12.7
        meter.silent = True
        with pytest.raises(VoltmeterError):
            await meter.read_v()

    asyncio.run(main())
