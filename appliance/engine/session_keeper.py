"""Keeps a half-written ECU in its programming session between two operations.

Only one that a reset would silence for good: its session ends in one when tester present fails to come.
"""

from __future__ import annotations

import logging

from appliance.contract.errors import PitboxError
from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.engine.car_interface import CarInterface
from appliance.protocols.uds.addressing import functional_address, link_settings
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.timing import UdsTiming
from drivers.can.interface import CanPort

log = logging.getLogger("pitbox.engine")


class Vigil:
    """At most one ECU at a time; over its functional address alone, so that no answer is waited for."""

    def __init__(self) -> None:
        self._client: UdsClient | None = None
        self._port: CanPort | None = None

    def begin(self, connection: CarInterface, access: UdsAccessDefinition) -> None:
        """Send tester present from now on. Never raises: what cannot be sent is told in the log."""
        everyone = functional_address(access.addressing)
        if everyone is None:
            log.warning("access %s has no functional address: the session ends by itself", access.name)
            return
        bus = access.bus
        try:
            self._port = connection.open_port(bus.bitrate_bps, bus.data_bitrate_bps)
            link = connection.open_link(self._port, everyone, link_settings(access))
        except PitboxError as error:
            log.warning("the half-written ECU is not kept in its session: %s", error.what)
            self._close_port()
            return
        self._client = UdsClient(link, timing=UdsTiming.of(access.timing))
        self._client.keep_session()

    async def end(self) -> bool:
        """Hand over to whoever keeps the session from now on; whether there was one to keep."""
        client, self._client = self._client, None
        if client is None:
            return False
        await client.present()
        await client.close()
        self._close_port()
        return True

    def _close_port(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None
