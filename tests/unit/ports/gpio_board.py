"""A board behind the RPi.GPIO interface: no output without a set-up, no second mode."""

from __future__ import annotations

from drivers.ammeter.interface import AmmeterError


class GpioBoard:
    BCM, OUT, IN, LOW, HIGH, PUD_OFF = 11, 0, 1, 0, 1, 20

    def __init__(self, lines: int = 28) -> None:
        self.lines = lines
        self.mode: int | None = None
        self.levels: dict[int, list[int]] = {}
        """Every level each output has had since it became one."""
        self.outside: dict[int, int] = {}
        """Levels that something else holds a line at, whatever the board drives."""
        self.pulls: dict[int, int] = {}
        self.broken = False

    def setmode(self, mode: int) -> None:
        if self.mode not in (None, mode):
            raise ValueError("a different mode has already been set")
        self.mode = mode

    def setup(
        self, channel: int, direction: int, pull_up_down: int | None = None, initial: int | None = None
    ) -> None:
        self._require(channel)
        if direction == self.IN:
            self.levels.pop(channel, None)
            self.pulls[channel] = self.PUD_OFF if pull_up_down is None else pull_up_down
        else:
            self.levels[channel] = [self.LOW if initial is None else initial]

    def output(self, channel: int, level: int) -> None:
        self._require(channel)
        if channel not in self.levels:
            raise RuntimeError("the GPIO channel has not been set up as an OUTPUT")
        self.levels[channel].append(level)

    def input(self, channel: int) -> int:
        self._require(channel)
        driven = self.levels.get(channel)
        return self.outside.get(channel, driven[-1] if driven else 0)

    def _require(self, channel: int) -> None:
        if self.broken:
            raise RuntimeError("GPIO busy")
        if self.mode is None:
            raise RuntimeError("please set pin numbering mode")
        if not 0 <= channel < self.lines:
            raise ValueError("the channel sent is invalid")


class Drawing:
    """An ammeter that shows what it is told."""

    def __init__(self, amps: float | None = 0.35) -> None:
        self.amps = amps

    async def read_a(self) -> float:
        if self.amps is None:
            raise AmmeterError("the ammeter does not answer")
        return self.amps
