"""One ECU on the wire for the length of an operation."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from appliance.contract.errors import PitboxError
from appliance.definitions.schema import Definition
from appliance.engine.box import Box
from appliance.flashing.context import Job
from appliance.flashing.errors import access_problem
from appliance.flashing.patience import persistently
from appliance.flashing.power import PowerGuard
from appliance.protocols.access import AccessError, EcuIdentity, Purpose
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.addressing import functional_address, link_settings, physical_address
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.timing import UdsTiming
from drivers.can.interface import CanPort

log = logging.getLogger("pitbox.engine")


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
    """Bus joined, links open, supply watched; all given back at the end. Raises PitboxError.

    What the ECU or the link did wrong before anything was erased becomes a PitboxError here; once something
    was erased the heart has told it already.
    """
    port = box.connection.open_port(definition.bus.bitrate_bps, definition.bus.data_bitrate_bps)
    power = PowerGuard(box.connection.meter, definition.voltage, box.emit, job_id)
    power.start()
    try:
        async with uds_client(box, definition, port) as client:
            access = UdsAccess(definition, client)
            job = Job(job_id, definition, access, box.journal, box.blobs, power, box.emit, box.now)
            yield Ecu(job, port, client)
    except AccessError as error:
        raise access_problem(error) from error
    finally:
        await power.stop()
        port.close()
        _keep_voltages(box, job_id, power)


async def require_same_ecu(job: Job, known: EcuIdentity | None) -> None:
    """Raises PitboxError ECU_CHANGED when another ECU answers than the one the job was opened for."""
    now = await persistently(job, Purpose.READ, job.access.identify)
    known = known or EcuIdentity()
    strange = [
        f"{name.upper()} is {told}, the job is for {kept}"
        for name in ("hw", "boot", "serial", "vin")
        if None not in (told := getattr(now, name), kept := getattr(known, name)) and told != kept
    ]
    if strange:
        raise PitboxError(
            "ECU_CHANGED",
            "another ECU is connected than the one this job was opened for",
            do_now="Connect the job's ECU, or run `pitbox identify` to open a job for this one.",
            details=tuple(strange),
        )


def _keep_voltages(box: Box, job_id: str, power: PowerGuard) -> None:
    """Widen the job's record of the supply by what this operation saw; never the reason that it fails."""
    if power.min_v is None or power.max_v is None:
        return
    try:
        known = box.journal.job(job_id).detail.get("voltage")
        seen = known if isinstance(known, dict) else {"min_v": power.min_v, "max_v": power.max_v}
        low, high = min(seen["min_v"], power.min_v), max(seen["max_v"], power.max_v)
        box.journal.note(job_id, voltage={"min_v": low, "max_v": high})
    except PitboxError as error:
        log.warning("the voltages of job %s are not kept: %s", job_id, error.what)
