"""What the demo can play: the same story, told on different ways into different ECUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way in."""

    definition: str
    """The ECU, where no other is asked for."""
    begins: str
    """Title of the first chapter: how the car or the ECU stands there."""
    engine_off: bool = False
    """Whether the technician gives his word that the engine is off, because this ECU does not tell."""
    engine: tuple[str, ...] = ()
    """Arguments of the engine, besides those that every scenario has."""


SCENARIOS: Mapping[str, Scenario] = {
    "car": Scenario("pbx-e400", "Identify: plugged in, ignition on, engine off"),
    "kline": Scenario(
        "pbx-k7",
        "Identify: plugged in, ignition on, engine off; the ECU on the K-line is woken",
        engine_off=True,
    ),
    "bench": Scenario("pbx-x050", "Identify: plugged in, ignition on, engine off"),
}
"""By the name that `pitbox demo --scenario` takes."""
