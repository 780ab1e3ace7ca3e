"""One simulated controller on a bench: it runs exactly while supply, wires and pins let it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.supply.interface import Output, SupplyReading
from simulator.bench.supply import BenchSupply
from simulator.bench.wires import GROUND, LINES, SUPPLY, Wires
from simulator.car import Car

_OPEN_V, _THROUGH_THE_ECU_V, _THROUGH_A_DIODE_V, _SHORT_V = 5.0, 3.1, 0.7, 0.0
"""At a probe of 5 V: nothing takes its current, the controller does, its diode does, a short does."""
_LOW_LIMIT_A = 0.1
_PULLS = {"boot_1": True, "boot_2": False, "boot_3": False, "boot_4": False, "reset": True}


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """The supply as it is set, and the controller's terminals."""

    volts: float = 13.5
    limit_a: float = 2.0
    standby_a: float = 0.03
    """Drawn while only the permanent supply is there."""
    running_a: float = 0.35
    pulls: Mapping[str, bool] = field(default_factory=lambda: dict(_PULLS))
    """Levels that a powered controller gives its lines; True is high."""
    straps: Mapping[str, bool] = field(default_factory=lambda: {"boot_1": False})
    """Levels that, all found when it starts, keep it in its boot loader; none for one without straps."""


class Bench:
    """The far end of simulated pins and of a simulated supply, around the ECU of a car that has no key."""

    def __init__(self, car: Car, settings: BenchSettings | None = None) -> None:
        self.settings = settings or BenchSettings()
        self.supply = BenchSupply(self.settings.volts, self.settings.limit_a, self._settle)
        self.wires = Wires(self._settle)
        self.driven: dict[str, bool] = {}
        """Lines that the box drives, with their levels."""
        self.blown = False
        """Whether the controller takes no current any more, though its supply wire is closed."""
        self._loop = asyncio.get_running_loop()
        self._awake_until_s = 0.0
        self.harm: set[str] = set()
        """Terminals of the controller that had the supply and cannot bear it."""
        self.times_powered = 0
        """How often the box has switched the permanent supply on."""
        self.offences: list[str] = []
        """What no box may do: how the controller stood when an output was switched on."""
        self._car = car
        car.supply_back = self._settle
        self._settle()

    @property
    def line_names(self) -> frozenset[str]:
        """The lines there are."""
        return frozenset(LINES)

    @property
    def is_safe(self) -> bool:
        """Whether nothing is switched on and no line driven."""
        return not self.supply.on and not self.driven

    def blow(self) -> None:
        """The controller takes no current from now on."""
        self.blown = True
        self._settle()

    def stays_awake(self, seconds: float) -> None:
        """From now on the controller draws its running current so long, whatever its ignition does."""
        self._awake_until_s = self._loop.time() + seconds

    def lower_limit(self) -> None:
        """The current limit is set so low that a controller that runs trips it."""
        self.supply.limit_a = _LOW_LIMIT_A
        self._settle()

    def mend(self) -> None:
        """Wires, switches, current limit and controller are as they should be."""
        self.supply.unweld()
        self.supply.limit_a = self.settings.limit_a
        self.blown = False
        self.wires.mend()

    def set_line(self, name: str, high: bool | None) -> None:
        """The box drives a line; None: it has let go."""
        if high is None:
            self.driven.pop(name, None)
        else:
            self.driven[name] = high
        self._settle()

    def line_is_high(self, name: str) -> bool:
        """The level at the box's end; a line that nobody drives is pulled low there, weakly."""
        rail = self.wires.shorted(name)
        if rail is not None:
            return rail == "supply" and self.supply.is_hot(Output.SUPPLY)
        if name in self.driven:
            return self.driven[name]
        far = self.wires.far_end(name)
        return self._is_powered() and far is not None and self.settings.pulls.get(far, False)

    def set_output(self, output: Output, on: bool) -> None:
        """Switch an output of the supply."""
        if on and output not in self.supply.on:
            self.offences += self._offences()
            self.times_powered += output is Output.SUPPLY
        self.supply.set_output(output, on)

    def measure(self) -> SupplyReading:
        """At the permanent output."""
        hot = self.supply.is_hot(Output.SUPPLY)
        return SupplyReading(self.supply.volts if hot else 0.0, self._amps(), self.supply.tripped)

    def probe(self) -> float:
        """Volts at the permanent output, fed through some kilohms; a supply that is on outweighs that."""
        if self.supply.is_hot(Output.SUPPLY):
            return self.supply.volts
        if self.wires.shorted(SUPPLY) == "ground" or self.wires.shorted(GROUND) == "supply":
            return _SHORT_V
        if self.wires.shorted(GROUND) is not None:
            return _OPEN_V
        near, far = self.wires.far_end(SUPPLY), self.wires.far_end(GROUND)
        if near is None or far is None or GROUND not in (near, far):
            return _OPEN_V
        return _THROUGH_A_DIODE_V if near == GROUND else _THROUGH_THE_ECU_V

    def box_dies(self) -> None:
        """The box loses its own supply: its lines float, and its switches fall off."""
        self.driven.clear()
        self.supply.drop()
        self._settle()

    def _settle(self) -> None:
        """Bring the controller into the state that supply, wires and pins ask for."""
        if self._is_overloaded():
            self.supply.tripped = True
        self.harm |= {line for line in LINES if self._is_hot(line)}
        if not self._is_powered():
            self._car.power_cut()
            return
        straps = self.settings.straps.items()
        found = [self._level_there(name) == level for name, level in straps]
        self._car.strapped = bool(found) and all(found)
        self._car.battery.set_level(self.supply.volts)
        self._car.connect()
        self._car.ignition = self._is_hot(Output.IGNITION) and self._level_there("reset")

    def _offences(self) -> list[str]:
        if self.wires.far_end(SUPPLY) == GROUND:
            return ["the wrong way round"]
        if self.wires.near_end(GROUND) != GROUND or self.wires.shorted(GROUND) is not None:
            return ["without its ground"]
        return []

    def _is_powered(self) -> bool:
        grounded = self.wires.near_end(GROUND) == GROUND and self.wires.shorted(GROUND) is None
        return grounded and not self.blown and self._is_hot(Output.SUPPLY)

    def _is_hot(self, terminal: str) -> bool:
        """Whether a terminal of the controller has the supply."""
        near = self.wires.near_end(terminal)
        return any(near == output and self.supply.is_hot(output) for output in Output)

    def _level_there(self, line: str) -> bool:
        """The level at the controller's end of a line."""
        near = self.wires.near_end(line)
        if near in LINES:
            rail = self.wires.shorted(near)
            if rail is not None:
                return rail == "supply"
            if near in self.driven:
                return self.driven[near]
        return self.settings.pulls.get(line, False)

    def _is_overloaded(self) -> bool:
        """A hot wire on ground, ground on a hot rail, or the controller the wrong way round."""
        hot = [output for output in Output if self.supply.is_hot(output)]
        return bool(hot) and (
            any(self.wires.shorted(output) == "ground" for output in hot)
            or self.wires.shorted(GROUND) == "supply"
            or any(self.wires.far_end(output) == GROUND for output in hot)
            or self._amps() > self.supply.limit_a
        )

    def _amps(self) -> float:
        if not self._is_powered():
            return 0.0
        awake = self._loop.time() < self._awake_until_s
        runs = awake or self._is_hot(Output.IGNITION)
        return self.settings.running_a if runs else self.settings.standby_a
