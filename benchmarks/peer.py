"""The peer: a plain udsoncan client on can-isotp, doing the same job as our host."""

from __future__ import annotations

import asyncio
from typing import Any

import isotp
from udsoncan import MemoryLocation
from udsoncan.client import Client
from udsoncan.configs import default_client_config
from udsoncan.connections import BaseConnection
from udsoncan.exceptions import TimeoutException

from appliance.definitions.access.uds import uds_access
from appliance.definitions.access.uds_link import Addressing
from appliance.definitions.schema import Definition
from simulator.bus import SimPort
from tests.support.canisotp_node import CanIsoTpNode

ERASE = 0xFF00
DEFAULTS: dict[str, Any] = {}
"""can-isotp as it comes: it asks for a flow control after every 8 frames."""
NO_BLOCKS: dict[str, Any] = {"blocksize": 0}
_LONGEST_PDU_BYTES = 1 << 16


class SimulatedConnection(BaseConnection):
    """udsoncan's way to the simulated bus: while it waits, the loop runs, and with it simulated time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: SimPort, node: CanIsoTpNode) -> None:
        super().__init__()
        self._loop = loop
        self._node = node
        self._arrived = asyncio.Event()
        self._payload = b""
        port.subscribe(lambda frame: self._look())

    def _look(self) -> None:
        payload = self._node.received()
        if payload:
            self._payload = payload
            self._arrived.set()

    def open(self) -> SimulatedConnection:
        return self

    def close(self) -> None:
        """Nothing is open."""

    def is_open(self) -> bool:
        return True

    def empty_rxqueue(self) -> None:
        self._arrived.clear()

    def specific_send(self, payload: bytes, timeout: float | None = None) -> None:
        self._node.send(payload)

    def specific_wait_frame(self, timeout: float | None = None) -> bytes:
        try:
            self._loop.run_until_complete(asyncio.wait_for(self._arrived.wait(), timeout))
        except TimeoutError as error:
            raise TimeoutException(f"no answer within {timeout} s") from error  # type: ignore[no-untyped-call]
        self._arrived.clear()
        return self._payload


def address_of(own: Addressing) -> isotp.Address:
    """Normal addressing with 11-bit identifiers, as pbx-e400 has it."""
    return isotp.Address(isotp.AddressingMode.Normal_11bits, txid=own.request_id, rxid=own.response_id)


def params_of(definition: Definition, params: dict[str, Any]) -> dict[str, Any]:
    """can-isotp's parameters, with the padding of the definition so that the frames are the same."""
    return {
        "tx_padding": uds_access(definition).addressing.padding,
        "max_frame_size": _LONGEST_PDU_BYTES,
        **params,
    }


def node_on(port: SimPort, definition: Definition, params: dict[str, Any]) -> CanIsoTpNode:
    """can-isotp on the simulated bus."""
    return CanIsoTpNode(port, address_of(uds_access(definition).addressing), params_of(definition, params))


def client_on(connection: BaseConnection, definition: Definition) -> Client:
    """udsoncan with the key function of pbx-e400."""
    sessions = uds_access(definition).sessions
    levels = [level for level in (sessions.read_security, sessions.write_security) if level is not None]
    constants = {level.level: level.constant or 0 for level in levels}

    def key(level: int, seed: bytes, params: object) -> bytes:
        return (int.from_bytes(seed, "big") ^ constants[level]).to_bytes(4, "big")

    config = default_client_config | {
        "security_algo": key,
        "request_timeout": 60,
        "p2_timeout": 10,
        "use_server_timing": False,
    }
    return Client(connection, config=config)


def read(client: Client, start: int, size: int) -> bytes:
    """Session, unlock, one upload."""
    client.change_session(0x03)
    client.unlock_security_access(0x01)
    client.request_upload(_location(start, size))
    data = bytearray()
    counter = 0
    while len(data) < size:
        counter = (counter + 1) & 0xFF
        data += _answered(client.transfer_data(counter)).parameter_records
    client.request_transfer_exit()
    return bytes(data)


def write(client: Client, start: int, data: bytes) -> None:
    """Sessions, unlock, one erase, one download."""
    client.change_session(0x03)
    client.change_session(0x02)
    client.unlock_security_access(0x03)
    span = b"\x44" + start.to_bytes(4, "big") + len(data).to_bytes(4, "big")
    client.start_routine(ERASE, span)
    share = _answered(client.request_download(_location(start, len(data)))).max_length - 2
    for number, at in enumerate(range(0, len(data), share), start=1):
        client.transfer_data(number & 0xFF, data[at : at + share])
    client.request_transfer_exit()


def _location(start: int, size: int) -> MemoryLocation:
    return MemoryLocation(start, size, address_format=32, memorysize_format=32)


def _answered(response: Any) -> Any:
    """What a response that was not suppressed says."""
    return response.service_data
