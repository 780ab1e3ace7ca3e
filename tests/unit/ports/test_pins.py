"""Pins over the RPi.GPIO interface: no glitch, read back, let go at the start, and told when they fail."""

from __future__ import annotations

import importlib.util

import pytest

from drivers.factory import open_pins
from drivers.pins.interface import PinsError
from drivers.pins.rpigpio import RpiGpioPins

from .gpio_board import GpioBoard


@pytest.fixture
def board() -> GpioBoard:
    return GpioBoard()


def test_lines_left_driven_by_a_dead_process_are_let_go_at_once(board: GpioBoard) -> None:
    board.setmode(board.BCM)
    board.setup(17, board.OUT, initial=board.HIGH)
    RpiGpioPins({"boot_1": 17, "reset": 27}, board)
    assert not board.levels
    assert board.pulls == {17: board.PUD_OFF, 27: board.PUD_OFF}


@pytest.mark.parametrize("high", [True, False])
def test_a_line_takes_its_level_without_the_other_one_before_it(board: GpioBoard, high: bool) -> None:
    pins = RpiGpioPins({"boot_1": 17}, board)
    pins.drive("boot_1", high)
    assert board.levels == {17: [int(high)]}
    assert pins.read("boot_1") is high
    pins.drive("boot_1", not high)
    assert board.levels == {17: [int(high), int(not high)]}
    pins.release("boot_1")
    assert not board.levels


def test_what_is_read_is_the_line_and_not_what_was_driven(board: GpioBoard) -> None:
    pins = RpiGpioPins({"boot_1": 17}, board)
    board.outside[17] = 1
    pins.drive("boot_1", False)
    assert pins.read("boot_1") is True


def test_failures_name_the_line(board: GpioBoard) -> None:
    pins = RpiGpioPins({"boot_1": 17}, board)
    with pytest.raises(PinsError, match="no line reset"):
        pins.read("reset")
    board.broken = True
    for act in (
        lambda: pins.drive("boot_1", True),
        lambda: pins.release("boot_1"),
        lambda: pins.read("boot_1"),
    ):
        with pytest.raises(PinsError, match=r"boot_1 \(GPIO 17\): GPIO busy"):
            act()


def test_wrong_boards_are_refused_when_the_pins_are_made(board: GpioBoard) -> None:
    with pytest.raises(PinsError, match="same GPIO"):
        RpiGpioPins({"boot_1": 17, "reset": 17}, board)
    with pytest.raises(PinsError, match=r"reset \(GPIO 99\)"):
        RpiGpioPins({"reset": 99}, board)
    board.mode = 10
    with pytest.raises(PinsError, match="different mode"):
        RpiGpioPins({"boot_1": 17}, board)


@pytest.mark.skipif(importlib.util.find_spec("RPi") is not None, reason="here the package is installed")
def test_without_the_package_the_error_says_what_to_install() -> None:
    with pytest.raises(PinsError, match=r"RPi\.GPIO cannot be used here .* install rpi-lgpio"):
        open_pins("rpi:boot_1=17")


@pytest.mark.parametrize(
    "spec", ["", "rpi", "rpi:", "rpi:boot_1", "rpi:boot_1=x", "gpiod:a=1", "rpi:a=1,a=2"]
)
def test_a_spec_that_means_nothing_is_told_with_one_that_does(spec: str) -> None:
    with pytest.raises(ValueError, match="rpi:boot_1=17,reset=27"):
        open_pins(spec)
