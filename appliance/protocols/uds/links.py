"""UDS over the ports of a box: links opened, and given back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from appliance.contract.errors import PitboxError
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.library import Way
from appliance.protocols.access import EcuAccess
from appliance.protocols.ports import CarInterface
from appliance.protocols.registry import KeptSession
from appliance.protocols.transforms import SecretNamed
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.addressing import functional_address, link_settings, physical_address
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.discovery import require_single_ecu
from appliance.protocols.uds.timing import UdsTiming
from appliance.protocols.uds.wire import Wire, links_to
from drivers.can.interface import CanPort

log = logging.getLogger("pitbox.uds")


def over_uds(access: AccessDefinition) -> UdsAccessDefinition:
    """The access as the registry found it. Raises TypeError for one of another protocol."""
    if not isinstance(access, UdsAccessDefinition):
        raise TypeError(f"the access {access.name} is over {access.protocol}")
    return access


@contextmanager
def joined(car: CarInterface, access: UdsAccessDefinition) -> Iterator[CanPort]:
    """The access's bus. Raises PitboxError."""
    port = car.open_port(access.bus.bitrate_bps, access.bus.data_bitrate_bps)
    try:
        yield port
    finally:
        port.close()


@asynccontextmanager
async def uds_client(
    car: CarInterface, access: UdsAccessDefinition, port: CanPort
) -> AsyncIterator[UdsClient]:
    """Physical and functional links to the ECU, as its access describes them. Raises PitboxError."""
    client = UdsClient(*links_to(car, access, port), UdsTiming.of(access.timing))
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def open_ecu(
    car: CarInterface, way: Way, secret: SecretNamed, *, kept: bool = False
) -> AsyncIterator[EcuAccess]:
    """Bus joined, links open. Raises PitboxError."""
    access = over_uds(way.access)
    with joined(car, access) as port:
        async with uds_client(car, access, port) as client:
            if kept:
                client.keep_session()
            wire = Wire(car, access, port, client)
            yield UdsAccess(access, client, way.definition, secret, port, wire)


async def require_alone(car: CarInterface, access: AccessDefinition) -> None:
    """Raises DuplicateEcuError, LinkLostError, PitboxError."""
    how = over_uds(access)
    with joined(car, how) as port:
        await require_alone_on(car, how, port)


async def require_alone_on(car: CarInterface, access: UdsAccessDefinition, port: CanPort) -> None:
    """As `require_alone`, on a bus that was joined already."""
    address = physical_address(access.addressing)
    link = car.open_link(port, address, link_settings(access))
    try:
        await require_single_ecu(link, address)
    finally:
        link.close()


class KeptUdsSession:
    """Tester present over the functional address alone, so that no answer is waited for."""

    def __init__(self, client: UdsClient, port: CanPort) -> None:
        self._client = client
        self._port = port
        client.keep_session()

    async def release(self) -> None:
        """One last tester present, then the bus is left."""
        await self._client.present()
        await self._client.close()
        self._port.close()


def keep(car: CarInterface, access: AccessDefinition) -> KeptSession | None:
    """Send tester present from now on; None where the ECU has no functional address. Raises PitboxError."""
    how = over_uds(access)
    everyone = functional_address(how.addressing)
    if everyone is None:
        log.warning("access %s has no functional address: the session ends by itself", how.name)
        return None
    port = car.open_port(how.bus.bitrate_bps, how.bus.data_bitrate_bps)
    try:
        link = car.open_link(port, everyone, link_settings(how))
    except PitboxError:
        port.close()
        raise
    return KeptUdsSession(UdsClient(link, timing=UdsTiming.of(how.timing)), port)
