"""A client that we did not write drives our simulated ECU, which runs in another process, over multicast CAN.

The client is udsoncan on can-isotp and python-can, with its own threads and timing. Its key functions are
written here from the definition's words, apart from those of the host and of the simulator.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import can
import isotp
import pytest
import udsoncan
from udsoncan.client import Client
from udsoncan.connections import PythonIsoTpConnection
from udsoncan.exceptions import NegativeResponseException

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import load_all
from appliance.definitions.schema import Definition
from simulator.image_synthesis import synthesise
from tests.integration.witness.buses import foreign_bus, process
from tests.support.multicast import group, needs_multicast

pytestmark = needs_multicast

SEED = 5
ERASE, CHECKSUM, DEPENDENCIES = 0xFF00, 0x0202, 0xFF01
KeyFunction = Callable[[int, bytes, Any], bytes]


class Codec(udsoncan.DidCodec):
    """Identity fields as text of any length."""

    def encode(self, *values: Any, **named: Any) -> bytes:
        return str(values[0]).encode()

    def decode(self, payload: bytes) -> str:
        return payload.decode()

    def __len__(self) -> int:
        raise udsoncan.DidCodec.ReadAllRemainingData


@contextmanager
def foreign_client(definition: Definition, channel: str, key: KeyFunction) -> Iterator[Client]:
    """udsoncan over NotifierBasedCanStack on a simulated ECU that was just started."""
    own = uds_access(definition).addressing
    address = isotp.Address(isotp.AddressingMode.Normal_11bits, txid=own.request_id, rxid=own.response_id)
    config = udsoncan.configs.default_client_config | {
        "data_identifiers": {"default": Codec},
        "security_algo": key,
        "request_timeout": 20,
        "p2_timeout": 10,
        "use_server_timing": False,  # this machine may be busy with other tests
        "server_address_format": 32,
        "server_memorysize_format": 32,
    }
    bus_name = f"udp_multicast:{channel}"
    with (
        process("simulator", "--definition", definition.id, "--bus", bus_name, "--seed", str(SEED)) as ready,
        foreign_bus(channel) as bus,
    ):
        assert ready["ready"] is True
        notifier = can.Notifier(bus, [])
        stack = isotp.NotifierBasedCanStack(bus, notifier, address=address, params={"tx_padding": 0x55})
        try:
            with Client(PythonIsoTpConnection(stack), config=config) as client:
                yield client
        finally:
            notifier.stop()


def e400_key(level: int, seed: bytes, params: Any = None) -> bytes:
    """The seed with its bits flipped by the constant of the level."""
    constant = {0x01: "5EEDE400", 0x03: "C0DEE400"}[level]
    return bytes(left ^ right for left, right in zip(seed, bytes.fromhex(constant), strict=True))


def s18_key(level: int, seed: bytes, params: Any = None) -> bytes:
    """The comment over the script of pbx-s18, carried out by hand: no SA2 machine runs here."""
    key, wrap = int.from_bytes(seed, "big"), 1 << 32
    for _ in range(5):
        key = (key + 0x5042_5831) % wrap
        fell_out = key >> 31
        key = key * 2 % wrap + fell_out
        key = key ^ 0x2DC3_5A1E if fell_out else (key - 0x1357_9BDF) % wrap
    return (((key >> 1) | (key % 2 << 31)) ^ 0x5049_5453).to_bytes(4, "big")


def span(start: int, size: int) -> udsoncan.MemoryLocation:
    return udsoncan.MemoryLocation(start, size, address_format=32, memorysize_format=32)


def answered(response: Any) -> Any:
    """The decoded answer; udsoncan gives None only where the answer was suppressed."""
    assert response is not None
    return response.service_data


def routine(client: Client, number: int, options: bytes = b"") -> bytes:
    """Start a routine; its status record."""
    return bytes(answered(client.start_routine(number, options)).routine_status_record)


def upload(client: Client, start: int, size: int) -> bytes:
    client.request_upload(span(start, size))
    data, counter = b"", 0
    while len(data) < size:
        counter = (counter + 1) & 0xFF
        data += answered(client.transfer_data(counter)).parameter_records
        assert len(data) <= size
    client.request_transfer_exit()
    return data


def download(client: Client, start: int, data: bytes) -> None:
    share = answered(client.request_download(span(start, len(data)))).max_length - 2
    for number, at in enumerate(range(0, len(data), share), start=1):
        client.transfer_data(number & 0xFF, data[at : at + share])
    client.request_transfer_exit()


def test_udsoncan_reads_unlocks_erases_downloads_and_reads_back() -> None:
    definition = load_all().get("pbx-e400")
    region = definition.region("code")
    second = region.sector_ranges()[1]
    start, size = second.start, second.length
    stock = synthesise(definition, SEED)[start - definition.regions[0].start :][:size]
    content = random.Random(3).randbytes(size)

    with foreign_client(definition, group(), e400_key) as client:
        assert client.read_data_by_identifier_first(0xF190) == definition.simulation.vin
        faults = answered(client.get_dtc_by_status_mask(0xFF)).dtcs
        assert {fault.id for fault in faults} == {0x030100, 0xC10000}

        client.change_session(0x03)
        with pytest.raises(NegativeResponseException) as locked:
            client.request_upload(span(start, size))
        assert locked.value.response.code == 0x33
        client.unlock_security_access(0x01)
        assert upload(client, start, size) == stock

        client.change_session(0x02)
        client.unlock_security_access(0x03)
        with pytest.raises(NegativeResponseException) as unerased:
            client.request_download(span(start, size))
        assert unerased.value.response.code == 0x24
        where = b"\x44" + start.to_bytes(4, "big") + size.to_bytes(4, "big")
        assert routine(client, ERASE, where) == b"\x00"
        download(client, start, content)
        proof = routine(client, CHECKSUM, where)
        assert proof == zlib.crc32(content).to_bytes(4, "big")
        assert routine(client, DEPENDENCIES) == b"\x00"

        client.ecu_reset(0x01)
        wait_for_application(client)
        client.change_session(0x03)
        client.unlock_security_access(0x01)
        assert upload(client, start, size) == content


def wait_for_application(client: Client) -> None:
    """The application answers with its software number; the bootloader has none.

    How long that takes is this machine's affair: the test's own limit is the only one.
    """
    software = None
    while not software:
        with suppress(udsoncan.exceptions.TimeoutException, NegativeResponseException):
            software = client.read_data_by_identifier_first(0xF188)


def test_udsoncan_unlocks_sa2_and_is_refused_without() -> None:
    with foreign_client(load_all().get("pbx-s18"), group(), s18_key) as client:
        client.change_session(0x03)
        assert routine(client, 0x0203) == b"\x00"
        client.change_session(0x02)
        with pytest.raises(NegativeResponseException) as locked:
            client.start_routine(ERASE, b"\x01\x05")
        assert locked.value.response.code == 0x33
        client.unlock_security_access(0x11)
        client.write_data_by_identifier(0xF15A, "fingerpri")
        assert routine(client, ERASE, b"\x01\x05") == b"\x00"


def test_a_wrong_key_is_refused_to_udsoncan_as_the_standard_says() -> None:
    """Two refusals with 0x35, then 0x36, then 0x37 to the next seed request."""
    codes = []
    with foreign_client(load_all().get("pbx-e400"), group(), lambda level, seed, params: bytes(4)) as client:
        client.change_session(0x03)
        for _ in range(4):
            with pytest.raises(NegativeResponseException) as refused:
                client.unlock_security_access(0x01)
            codes.append(refused.value.response.code)
    assert codes == [0x35, 0x35, 0x36, 0x37]
