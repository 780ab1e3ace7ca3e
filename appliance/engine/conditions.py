"""What the gates ask of the wire and of the box, measured now."""

from __future__ import annotations

import shutil
from pathlib import Path

from appliance.protocols.access import EcuAccess, LinkHealth

_THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")


class LiveConditions:
    """Bus load and error counters now, engine speed, disk, temperature, pending updates."""

    def __init__(self, access: EcuAccess, state_dir: Path) -> None:
        self._access = access
        self._state_dir = state_dir

    async def listen(self) -> LinkHealth | None:
        """For a second; None where this way into the ECU has no bus."""
        return None if self._access.link is None else await self._access.link.listen()

    async def engine_speed_rpm(self) -> float | None:
        """As the ECU tells it; None where it does not, or where no program answers."""
        diagnostics = self._access.diagnostics
        return None if diagnostics is None else await diagnostics.engine_speed_rpm()

    def free_bytes(self) -> int:
        """Where the box keeps its state. Raises OSError."""
        return shutil.disk_usage(self._state_dir).free

    def temperature_c(self) -> float | None:
        """The processor's."""
        try:
            return int(_THERMAL.read_text()) / 1000
        except (OSError, ValueError):
            return None

    def update_pending(self) -> bool:
        """Whoever brings an update leaves a mark in the state directory."""
        return (self._state_dir / "update-pending").exists()
