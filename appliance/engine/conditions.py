"""What the gates ask of the wire and of the box, measured now."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from appliance.definitions.schema import Definition
from appliance.flashing.gates.conditions import LinkHealth
from appliance.protocols.obd.services import engine_speed
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.services.data import read_data
from drivers.can.interface import CanPort

_LISTEN_S = 1.0
_SPEED_BYTES = 2
_RPM_PER_BIT = 0.25
_THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")


class LiveConditions:
    """Bus load and error counters now, engine speed, disk, temperature, pending updates."""

    def __init__(
        self,
        definition: Definition,
        engine_speed_did: int | None,
        port: CanPort,
        client: UdsClient,
        state_dir: Path,
    ) -> None:
        self._definition = definition
        self._engine_speed_did = engine_speed_did
        self._port = port
        self._client = client
        self._state_dir = state_dir

    async def listen(self) -> LinkHealth:
        """For a second."""
        before = self._port.health()
        await asyncio.sleep(_LISTEN_S)
        after = self._port.health()
        errors = after.tx_errors + after.rx_errors
        new_errors = errors - before.tx_errors - before.rx_errors
        return LinkHealth(after.load, errors, new_errors, after.bus_off)

    async def engine_speed_rpm(self) -> float | None:
        """By OBD, or by the field that the definition names; None where the ECU does not tell."""
        rpm = await self._client.attempt(engine_speed())
        number = self._engine_speed_did
        if rpm is None and number is not None:
            record = await self._client.attempt(read_data(number, _SPEED_BYTES))
            return None if record is None else int.from_bytes(record) * _RPM_PER_BIT
        return rpm

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
