"""The gates of the link and of the box itself."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from appliance.contract.events import GateVerdict
from appliance.definitions.schema import Definition
from appliance.protocols.obd.services import engine_speed
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.services.data import read_data
from drivers.can.interface import CanPort

_LISTEN_S = 1.0
_QUIET_LOAD = 0.6
_HOTTEST_C = 75.0
_SPEED_BYTES = 2
_RPM_PER_BIT = 0.25
_DISK_TIMES_IMAGE = 3
_THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")


class LiveConditions:
    """Bus load and error counters now, engine at rest, disk, temperature, no pending update."""

    def __init__(
        self,
        definition: Definition,
        port: CanPort,
        client: UdsClient,
        state_dir: Path,
        *,
        engine_off_stated: bool = False,
        restores: bool = False,
    ) -> None:
        """`engine_off_stated` is a person's word; what the ECU itself tells outranks it.

        `restores` is for the ECU's own original, which goes back also where nobody knows.
        """
        self._engine_off_stated = engine_off_stated
        self._restores = restores
        self._definition = definition
        self._port = port
        self._client = client
        self._state_dir = state_dir
        self._image_bytes = sum(region.size_bytes for region in definition.regions)

    async def link(self) -> list[GateVerdict]:
        """Listen for a second, then ask for engine speed."""
        before = self._port.health()
        await asyncio.sleep(_LISTEN_S)
        after = self._port.health()
        errors = after.tx_errors + after.rx_errors
        clean = not after.bus_off and errors <= before.tx_errors + before.rx_errors and errors < 96
        quiet = after.load <= _QUIET_LOAD
        return [
            GateVerdict("bus_quiet", _word(quiet), f"{after.load:.0%} of the wire in use"),
            GateVerdict("link_clean", _word(clean), f"{errors} errors counted by the controller"),
            await self._engine_at_rest(),
        ]

    def host(self) -> list[GateVerdict]:
        """What the box itself must have."""
        return [self._disk(), _temperature(), self._no_update()]

    async def _engine_at_rest(self) -> GateVerdict:
        rpm = await self._engine_speed_rpm()
        if rpm is not None:
            return GateVerdict("engine_off", _word(rpm == 0), f"{rpm:.0f} rpm, told by the ECU")
        if self._engine_off_stated:
            return GateVerdict("engine_off", "pass", "stated by a person; the ECU does not tell")
        if self._definition.kind == "gearbox":
            return GateVerdict("engine_off", "pass", "a gearbox is not asked for engine speed")
        if self._restores:
            return GateVerdict("engine_off", "pass", "not known; the own original goes back all the same")
        return GateVerdict(
            "engine_off",
            "unknown",
            "the ECU does not tell: see that it is off, then add --engine-off",
        )

    async def _engine_speed_rpm(self) -> float | None:
        """None where the ECU does not tell."""
        rpm = await self._client.attempt(engine_speed())
        number = self._definition.identity.engine_speed
        if rpm is None and number is not None:
            record = await self._client.attempt(read_data(number, _SPEED_BYTES))
            return None if record is None else int.from_bytes(record) * _RPM_PER_BIT
        return rpm

    def _disk(self) -> GateVerdict:
        free, wanted = shutil.disk_usage(self._state_dir).free, _DISK_TIMES_IMAGE * self._image_bytes
        return GateVerdict("disk", _word(free >= wanted), f"{free >> 20} MiB free, {wanted >> 20} MiB wanted")

    def _no_update(self) -> GateVerdict:
        pending = (self._state_dir / "update-pending").exists()
        return GateVerdict("no_update", _word(not pending), "an update waits" if pending else "none pending")


def _temperature() -> GateVerdict:
    try:
        celsius = int(_THERMAL.read_text()) / 1000
    except (OSError, ValueError):
        return GateVerdict("temperature", "pass", "this machine has no temperature sensor")
    return GateVerdict(
        "temperature", _word(celsius < _HOTTEST_C), f"{celsius:.0f} °C, limit {_HOTTEST_C:.0f} °C"
    )


def _word(passed: bool) -> str:
    return "pass" if passed else "fail"
