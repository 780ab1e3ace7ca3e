"""How a CAN bus does, listened to for a second."""

from __future__ import annotations

import asyncio

from appliance.protocols.access import LinkHealth
from drivers.can.interface import CanPort

_LISTEN_S = 1.0


class CanLink:
    """Implements LinkCapability on a port."""

    def __init__(self, port: CanPort) -> None:
        self._port = port

    async def listen(self) -> LinkHealth:
        """Load and error counters of the next second."""
        before = self._port.health()
        await asyncio.sleep(_LISTEN_S)
        after = self._port.health()
        errors = after.tx_errors + after.rx_errors
        new_errors = errors - before.tx_errors - before.rx_errors
        lost = after.lost_frames - before.lost_frames
        return LinkHealth(after.load, errors, new_errors, after.bus_off, lost)
