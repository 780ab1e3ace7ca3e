"""What the gates ask of the wire and of the box; the engine answers it."""

from __future__ import annotations

from typing import Protocol

from appliance.protocols.access import LinkHealth


class Conditions(Protocol):
    """Measurements only: what they mean is said by the gates."""

    async def listen(self) -> LinkHealth | None:
        """None where this way into the ECU has no bus. Raises OSError, AccessError."""

    async def engine_speed_rpm(self) -> float | None:
        """None where the ECU does not tell. Raises AccessError."""

    def free_bytes(self) -> int:
        """Room for what must be kept. Raises OSError."""

    def temperature_c(self) -> float | None:
        """The box's own; None where it has no sensor."""

    def update_pending(self) -> bool:
        """Whether an update waits to be put in."""
