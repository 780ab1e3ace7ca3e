"""How a simulated car is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """A simulated car instead of hardware: always asked for by name, never a fallback."""

    definition: str
    seed: int = 1
    data_dir: Path | None = None
    """Where the simulated ECU keeps its memory, so that it outlives the engine."""
    pace: float | None = None
    """Simulated seconds per real second; None is as fast as the machine can."""
    faults: str | None = None
    """A fault plan as JSON text."""
    bench: bool = False
    """The ECU lies on the bench: it has only the supply and the pins that the box gives it."""
