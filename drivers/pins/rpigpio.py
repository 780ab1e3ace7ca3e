"""Pins of a Raspberry Pi through the RPi.GPIO interface (rpi-lgpio, or RPi.GPIO itself)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from drivers.pins.interface import PinsError

_MODULE = "RPi.GPIO"


class RpiGpioPins:
    """Lines by name on BCM channels. All are released when it is made, so a box that restarts drives none.

    What the lines do while no process holds them is the board's: its pulls must give the safe level.
    """

    def __init__(self, channels: Mapping[str, int], gpio: Any = None) -> None:
        """`gpio` is a module with that interface; by default the installed one. Raises PinsError."""
        if len(set(channels.values())) != len(channels):
            raise PinsError("two lines are on the same GPIO")
        self._channels = dict(channels)
        self._gpio = _installed() if gpio is None else gpio
        self._outputs: set[str] = set()
        try:
            self._gpio.setmode(self._gpio.BCM)
        except (RuntimeError, ValueError, OSError) as error:
            raise PinsError(f"GPIO: {error}") from error
        for name in self._channels:
            self.release(name)

    @property
    def names(self) -> frozenset[str]:
        """The lines there are."""
        return frozenset(self._channels)

    def drive(self, name: str, high: bool) -> None:
        """The level is part of the request that makes the line an output, so that none other is seen."""
        level = self._gpio.HIGH if high else self._gpio.LOW
        channel = self._channel(name)
        try:
            if name in self._outputs:
                self._gpio.output(channel, level)
            else:
                self._gpio.setup(channel, self._gpio.OUT, initial=level)
                self._outputs.add(name)
        except (RuntimeError, ValueError, OSError) as error:
            raise PinsError(f"{self._called(name)}: {error}") from error

    def release(self, name: str) -> None:
        """An input without a pull. Raises PinsError."""
        channel = self._channel(name)
        try:
            self._gpio.setup(channel, self._gpio.IN, pull_up_down=self._gpio.PUD_OFF)
        except (RuntimeError, ValueError, OSError) as error:
            raise PinsError(f"{self._called(name)}: {error}") from error
        self._outputs.discard(name)

    def read(self, name: str) -> bool:
        """The pad's level, also of a line that is driven. Raises PinsError."""
        channel = self._channel(name)
        try:
            return bool(self._gpio.input(channel))
        except (RuntimeError, ValueError, OSError) as error:
            raise PinsError(f"{self._called(name)}: {error}") from error

    def _channel(self, name: str) -> int:
        if name not in self._channels:
            raise PinsError(f"there is no line {name}")
        return self._channels[name]

    def _called(self, name: str) -> str:
        return f"{name} (GPIO {self._channels[name]})"


def _installed() -> Any:
    try:
        return importlib.import_module(_MODULE)
    except (ImportError, RuntimeError) as error:
        raise PinsError(
            f"the Python package {_MODULE} cannot be used here ({error}); on a Raspberry Pi install rpi-lgpio"
        ) from error
