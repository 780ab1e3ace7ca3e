"""One ECU on the wire for the length of an operation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from appliance.definitions.schema import Definition
from appliance.engine.box import Box
from appliance.flashing.context import Job
from appliance.flashing.power import PowerGuard
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.addressing import functional_address, link_settings, physical_address
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.timing import UdsTiming
from drivers.can.interface import CanPort


@dataclass(frozen=True, slots=True)
class Ecu:
    """What an operation needs of the ECU it works on."""

    job: Job
    port: CanPort
    client: UdsClient


@asynccontextmanager
async def uds_client(box: Box, definition: Definition, port: CanPort) -> AsyncIterator[UdsClient]:
    """Physical and functional links to the ECU a definition describes."""
    settings = link_settings(definition)
    client = UdsClient(
        box.connection.open_link(port, physical_address(definition.addressing), settings),
        box.connection.open_link(port, functional_address(definition.addressing), settings),
        UdsTiming.of(definition.timing),
    )
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def on_ecu(box: Box, job_id: str, definition: Definition) -> AsyncIterator[Ecu]:
    """Bus joined, links open, supply watched; all given back at the end."""
    port = box.connection.open_port(definition.bus.bitrate_bps, definition.bus.data_bitrate_bps)
    power = PowerGuard(box.connection.meter, definition.voltage, box.emit, job_id)
    power.start()
    try:
        async with uds_client(box, definition, port) as client:
            access = UdsAccess(definition, client)
            job = Job(job_id, definition, access, box.journal, box.blobs, power, box.emit, box.now)
            yield Ecu(job, port, client)
    finally:
        await power.stop()
        port.close()
        _keep_voltages(box, job_id, power)


def _keep_voltages(box: Box, job_id: str, power: PowerGuard) -> None:
    """Widen the job's record of the supply by what this operation saw."""
    if power.min_v is None or power.max_v is None:
        return
    known = box.journal.job(job_id).detail.get("voltage")
    low, high = (known["min_v"], known["max_v"]) if isinstance(known, dict) else (power.min_v, power.max_v)
    box.journal.note(job_id, voltage={"min_v": min(low, power.min_v), "max_v": max(high, power.max_v)})
