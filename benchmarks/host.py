"""Processor seconds of the host per MiB, ours and the peer's, with the ECU in another process.

`python -m benchmarks.host [--json FILE]`. Real time over udp_multicast: the rates are this machine's and no
wire's. Only the host's process is counted, with all its threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import can
import isotp
from udsoncan.client import Client
from udsoncan.connections import PythonIsoTpConnection
from udsoncan.exceptions import TimeoutException

from appliance.contract.places import FLASH, Range
from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import load_all
from appliance.definitions.schema import Definition
from appliance.protocols.access import AccessError, Block, Purpose
from appliance.protocols.uds.access import UdsAccess
from benchmarks import peer
from benchmarks.models import MIB, SECTOR_BYTES, START, client_on
from benchmarks.report import Benchmark, Row
from benchmarks.transfer import content
from drivers.can.pythoncan import open_port
from tests.integration.witness.buses import foreign_bus, process
from tests.support.multicast import group

ECU = "pbx-e400"
TRIES = 5
PEER = "udsoncan + can-isotp as they come (BS 8)"
"""With BS 0 its threads do not keep up with this bus, which has no speed of its own: frames get lost."""
Host = Callable[[Definition, str], None]
"""Does its job on the bus of that name."""


async def our_read(access: UdsAccess) -> None:
    """Session, unlock, 1 MiB."""
    await access.lifecycle.open(Purpose.READ)
    for at in range(0, MIB, SECTOR_BYTES):
        await access.memory.read(Range(FLASH, START + at, SECTOR_BYTES))


async def our_write(access: UdsAccess) -> None:
    """Session, unlock, erase, 1 MiB."""
    data = content()
    await access.lifecycle.open(Purpose.WRITE)
    for at in range(0, MIB, SECTOR_BYTES):
        block = Block("code", Range(FLASH, START + at, SECTOR_BYTES))
        await access.memory.erase(block)
        await access.memory.program(block, data[at : at + SECTOR_BYTES], lambda count: None)


def ours(job: Callable[[UdsAccess], Awaitable[None]]) -> Host:
    """Our host over our own port."""

    async def on_bus(definition: Definition, channel: str) -> None:
        port = open_port("udp_multicast", channel, uds_access(definition).bus.bitrate_bps)
        client = client_on(port, definition)
        try:
            await job(UdsAccess(uds_access(definition), client, definition))
        finally:
            await client.close()
            port.close()

    return lambda definition, channel: asyncio.run(on_bus(definition, channel))


def peers(job: Callable[[Client], object]) -> Host:
    """udsoncan over can-isotp's own stack and threads."""

    def on_bus(definition: Definition, channel: str) -> None:
        with foreign_bus(channel) as bus:
            notifier = can.Notifier(bus, [])
            address = peer.address_of(uds_access(definition).addressing)
            params = peer.params_of(definition, peer.DEFAULTS)
            stack = isotp.NotifierBasedCanStack(bus, notifier, address=address, params=params)
            try:
                with peer.client_on(PythonIsoTpConnection(stack), definition) as client:
                    job(client)
            finally:
                notifier.stop()

    return on_bus


JOBS: dict[tuple[str, str], Host] = {
    ("read 1 MiB", "Pitbox"): ours(our_read),
    ("read 1 MiB", PEER): peers(lambda client: peer.read(client, START, MIB)),
    ("write 1 MiB", "Pitbox"): ours(our_write),
    ("write 1 MiB", PEER): peers(lambda client: peer.write(client, START, content())),
}


def measure() -> list[Row]:
    """Each job on an ECU that was just started."""
    definition = load_all().get(ECU)
    return [_row(job, client, definition, group(), host) for (job, client), host in JOBS.items()]


def _row(job: str, client: str, definition: Definition, channel: str, host: Host) -> Row:
    """The first try that succeeds: on a busy machine frames get lost, and the peer repeats nothing."""
    for tries in range(1, TRIES + 1):
        try:
            cpu_s, seconds = _tried(definition, channel, host)
        except (AccessError, TimeoutException):
            continue
        rate = MIB / seconds / 1000
        return {
            "job": job,
            "client": client,
            "CPU s per MiB": cpu_s,
            "s": seconds,
            "kB/s": rate,
            "tries": tries,
        }
    raise AssertionError(f"{client} did not {job} in {TRIES} tries")


def _tried(definition: Definition, channel: str, host: Host) -> tuple[float, float]:
    """(processor seconds, seconds) on an ECU that was just started."""
    with process("simulator", "--definition", definition.id, "--bus", f"udp_multicast:{channel}"):
        cpu_began_s, began_s = time.process_time(), time.monotonic()
        host(definition, channel)
        return time.process_time() - cpu_began_s, time.monotonic() - began_s


BENCHMARK = Benchmark("host", measure)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
