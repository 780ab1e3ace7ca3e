"""The ammeter of the bench supply: a shunt's voltage by its resistance, and when there is no reading."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from drivers.ammeter.ina226 import Ina226Ammeter
from drivers.ammeter.interface import Ammeter, AmmeterError
from drivers.factory import open_ammeter
from tests.support.ina226_chip import FakeChip

SHUNT_VOLTAGE = 0x01


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeChip:
    return FakeChip(monkeypatch, tmp_path / "i2c-1")


@pytest.fixture
def meter(chip: FakeChip, tmp_path: Path) -> Ammeter:
    """On a shunt of 10 milliohm."""
    return open_ammeter(f"ina226:{tmp_path}/i2c-1:0x41:0.010")


def amps(meter: Ammeter) -> float:
    return asyncio.run(meter.read_a())


def test_an_ammeter_is_opened_by_its_device_address_and_shunt(chip: FakeChip, tmp_path: Path) -> None:
    chip.registers[SHUNT_VOLTAGE] = 1400
    assert amps(open_ammeter(f"ina226:{tmp_path}/i2c-1:0x41:0.010")) == pytest.approx(0.35)
    assert chip.address == 0x41
    assert amps(open_ammeter(f"ina226:{tmp_path}/i2c-1:69:0.1")) == pytest.approx(0.035)
    assert chip.address == 69


@pytest.mark.parametrize(
    ("register", "current_a"),
    [(0, 0.0), (1, 0.00025), (0xFFFF, -0.00025), (0x7FFE, 8.1915), (0x8001, -8.19175)],
)
def test_amperes_are_signed_steps_of_2_5_microvolt_by_the_shunt(
    chip: FakeChip, meter: Ammeter, register: int, current_a: float
) -> None:
    chip.registers[SHUNT_VOLTAGE] = register
    assert amps(meter) == pytest.approx(current_a)


@pytest.mark.parametrize("register", [0x7FFF, 0x8000])
def test_a_current_beyond_the_range_is_no_reading(chip: FakeChip, meter: Ammeter, register: int) -> None:
    chip.registers[SHUNT_VOLTAGE] = register
    with pytest.raises(AmmeterError, match="beyond what it can measure"):
        amps(meter)


def test_a_meter_that_stops_answering_gives_no_reading(chip: FakeChip, meter: Ammeter) -> None:
    chip.answers = False
    with pytest.raises(AmmeterError, match="Remote I/O error"):
        amps(meter)
    chip.registers[SHUNT_VOLTAGE], chip.answers, chip.short = 1400, True, True
    with pytest.raises(AmmeterError, match="broke off"):
        amps(meter)


def test_a_meter_that_was_let_go_of_leaves_the_next_file_of_its_number_alone(
    chip: FakeChip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Ina226Ammeter(tmp_path / "i2c-1", 0x41, 0.010)
    assert chip.address == 0x41
    monkeypatch.undo()
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    meter.close()
    other = tmp_path / "journal.db"
    with other.open("w+b", buffering=0) as file:
        assert file.fileno() <= lowest, "the meter's number, or a lower one"
        with pytest.raises(AmmeterError, match="Bad file descriptor"):
            amps(meter)
        meter.close()
        file.write(b"whole")
    assert other.read_bytes() == b"whole"


def test_another_chip_at_the_address_is_refused(chip: FakeChip, tmp_path: Path) -> None:
    chip.registers[0xFE] = 0x1234
    with pytest.raises(AmmeterError, match=r"address 0x41: another chip.*0x1234"):
        open_ammeter(f"ina226:{tmp_path}/i2c-1:0x41:0.010")


def test_a_missing_device_is_named() -> None:
    with pytest.raises(AmmeterError, match=r"/dev/i2c-99.*No such file"):
        open_ammeter("ina226:/dev/i2c-99:0x41:0.010")


@pytest.mark.parametrize("shunt", ["0", "-0.01", "1", "nan", "inf"])
def test_a_shunt_that_is_none_is_refused(chip: FakeChip, tmp_path: Path, shunt: str) -> None:
    with pytest.raises(ValueError, match="is none"):
        open_ammeter(f"ina226:{tmp_path}/i2c-1:0x41:{shunt}")
    assert chip.address is None


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("", "is not an ammeter; write one like ina226:/dev/i2c-1:0x41:0.010"),
        ("ina226:/dev/i2c-1:0x41", "is not an ammeter"),
        ("multimeter:/dev/x:0x41:0.010", "is not an ammeter"),
        ("ina226:/dev/i2c-1:forty:0.010", "has no I2C address and shunt"),
        ("ina226:/dev/i2c-1:0x41:thin", "has no I2C address and shunt"),
    ],
)
def test_names_that_mean_no_ammeter_say_why(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        open_ammeter(spec)
