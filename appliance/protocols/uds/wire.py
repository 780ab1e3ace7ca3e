"""The link to one ECU as something that can be left and joined again, and the person beside it."""

from __future__ import annotations

from collections.abc import Callable

from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.protocols.isotp.interface import IsoTpLink
from appliance.protocols.ports import CarInterface
from appliance.protocols.uds.addressing import functional_address, link_settings, physical_address
from appliance.protocols.uds.client import UdsClient
from drivers.can.interface import CanPort
from drivers.person.interface import Person


def links_to(
    car: CarInterface, access: UdsAccessDefinition, port: CanPort
) -> tuple[IsoTpLink, IsoTpLink | None]:
    """The ECU's own link, and that to everybody where there is one. Raises PitboxError."""
    settings, everyone = link_settings(access), functional_address(access.addressing)
    own = car.open_link(port, physical_address(access.addressing), settings)
    return own, car.open_link(port, everyone, settings) if everyone else None


class Wire:
    """The links of a client, over a port that stays."""

    def __init__(
        self, car: CarInterface, access: UdsAccessDefinition, port: CanPort, client: UdsClient
    ) -> None:
        self._car = car
        self._access = access
        self._port = port
        self._client = client
        self.on_rate: Callable[[int], None] = lambda rate_bps: None
        """Called with every bit rate that the port is taken to."""

    def require_rate_change(self) -> None:
        """Raises PitboxError CAN_RATE_FIXED where the port keeps its bit rate."""
        self._car.rate_change(self._port)

    def set_rate(self, bitrate_bps: int | None) -> None:
        """Take the port to another bit rate, or back to the access's own.

        Raises PitboxError CAN_RATE_FIXED.
        """
        rate_bps = bitrate_bps or self._access.bus.bitrate_bps
        self._car.rate_change(self._port)(rate_bps)
        self.on_rate(rate_bps)

    def person(self) -> Person:
        """Whoever is at the box. Raises PitboxError PORT_MISSING."""
        return self._car.person()

    async def leave(self) -> None:
        """Nothing is sent any more, and nothing heard."""
        await self._client.close()

    def join(self) -> None:
        """New links, which have heard nothing of what was said before. Raises PitboxError."""
        self._client.attach(*links_to(self._car, self._access, self._port))
