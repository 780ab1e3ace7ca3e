"""How an engine is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from appliance.engine.peers import PeerRoles
from appliance.ports.settings import SimulationSettings


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Paths, hardware names and role."""

    state_dir: Path
    socket_path: Path
    role: str = "slave"
    can: str | None = None
    voltmeter: str | None = None
    pins: str | None = None
    kline: str | None = None
    ammeter: str | None = None
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
