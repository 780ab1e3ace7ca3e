"""How an engine is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from appliance.engine.peers import PeerRoles


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


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Paths, hardware names and role."""

    state_dir: Path
    socket_path: Path
    role: str = "slave"
    can: str | None = None
    voltmeter: str | None = None
    pins: str | None = None
    simulation: SimulationSettings | None = None
    definition_dirs: tuple[Path, ...] = ()
    peer_roles: PeerRoles = field(default_factory=PeerRoles)
    set_journal_aside: bool = False
    second_dir: Path | None = None
    """Where sealed originals are kept once more: another disk, so that one that fails loses none."""

    @property
    def log_path(self) -> Path:
        """The engine's log file."""
        return self.state_dir / "log" / "engine.log"
