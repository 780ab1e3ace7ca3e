"""An ECU whose UDS server, ISO-TP and CAN are other people's: python-uds-server, can-isotp, python-can.

`python -m tests.integration.witness.foreign_ecu GROUP` serves it over udp_multicast until SIGTERM. The
package knows the services; what is an ECU's own is here: flash that must be erased before it is programmed,
the routines, and seed-and-key functions written a third time, so that neither our host nor our simulator
can share a mistake with them.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import zlib

import can
import isotp
from uds_server import (  # type: ignore[import-untyped]
    AccessRule,
    CommunicationControlDefinition,
    DidAccess,
    DidDefinition,
    DtcDefinition,
    EcuResetDefinition,
    MemoryAccess,
    MemoryRegionDefinition,
    ProgrammingFailure,
    RoutineDefinition,
    SecurityLevel,
    ServiceConfig,
    UdsServer,
)
from uds_server.transport import IsoTpTransport  # type: ignore[import-untyped]

from tests.integration.witness.buses import foreign_bus

BOOT_START, BOOT_BYTES = 0x0000, 0x1000
CODE_START, CODE_BYTES, SECTOR_BYTES = 0x1_0000, 0x8000, 0x2000
ERASED = 0xFF
READ_LEVEL, WRITE_LEVEL = 0x01, 0x11
BLOCK_BYTES = 0x402
HW, SW, VIN = b"FOREIGN-HW-1", b"FOREIGN-SW-7", b"PBXTESTCAR0000F0R"
DTC, DTC_STATUS = 0x030100, 0x2F
WORD = 0xFFFF_FFFF

UNLOCKED_FOR_WRITING = AccessRule(frozenset({0x02}), frozenset({WRITE_LEVEL}))
IN_ANY_UNLOCKED_SESSION = AccessRule(allowed_security_levels=frozenset({READ_LEVEL, WRITE_LEVEL}))


def stock(start: int, size: int) -> bytes:
    """What the ECU holds when it starts, the same in every process."""
    return random.Random(start).randbytes(size)


class Flash:
    """Code flash: erased by sectors, and programmed only where it is erased."""

    def __init__(self) -> None:
        self.cells = bytearray(stock(CODE_START, CODE_BYTES))

    def read(self, address: int, length: int) -> bytes:
        at = address - CODE_START
        return bytes(self.cells[at : at + length])

    def program(self, address: int, data: bytes) -> None:
        if any(cell != ERASED for cell in self.read(address, len(data))):
            raise ProgrammingFailure("the cells are not erased")
        at = address - CODE_START
        self.cells[at : at + len(data)] = data

    def erase(self, options: bytes) -> bytes:
        """Routine 0xFF00: format identifier 44, address, size; answers status 00."""
        address, size = span(options)
        if address % SECTOR_BYTES or size % SECTOR_BYTES:
            raise ValueError("not whole sectors")
        at = address - CODE_START
        self.cells[at : at + size] = bytes((ERASED,)) * size
        return b"\x00"

    def checksum(self, options: bytes) -> bytes:
        """Routine 0x0202: CRC-32 over the same."""
        return zlib.crc32(self.read(*span(options))).to_bytes(4, "big")


def span(options: bytes) -> tuple[int, int]:
    """(address, size) of `44 <address> <size>` inside the code flash."""
    if len(options) != 9 or options[0] != 0x44:
        raise ValueError("not a format identifier 44 with address and size")
    address, size = int.from_bytes(options[1:5], "big"), int.from_bytes(options[5:], "big")
    if not CODE_START <= address < address + size <= CODE_START + CODE_BYTES:
        raise ValueError("outside the code flash")
    return address, size


def read_key(level: int, seed: bytes, parameters: object) -> bytes:
    """The sum of the seed and a constant, modulo 2^32."""
    return ((int.from_bytes(seed, "big") + 0x0F0E_1610) % (1 << 32)).to_bytes(4, "big")


def write_key(level: int, seed: bytes, parameters: object) -> bytes:
    """What the SA2 script of foreign.toml says, step by step, without a machine that runs it."""
    key = int.from_bytes(seed, "big")
    key = (key << 3 | key >> 29) & WORD
    key += 0x0BAD_C0DE
    overflow, key = key > WORD, key & WORD
    if overflow:
        key ^= 0x1357_2468
    key = (key >> 7 | key << 25) & WORD
    key = (key - 0x2468_ACE1) & WORD
    return (key ^ 0x5EED_1234).to_bytes(4, "big")


def server_on(bus: can.BusABC) -> UdsServer:
    """The configured server, not yet started."""
    address = isotp.Address(isotp.AddressingMode.Normal_11bits, txid=0x7EA, rxid=0x7E2)
    stack = isotp.CanStack(bus, address=address, params={"tx_padding": 0xAA, "blocking_send": False})
    flash, seeds = Flash(), random.Random(7)
    server: UdsServer = UdsServer(
        transport=IsoTpTransport(stack),
        dids=[
            *_identity(),
            DidDefinition(0xF186, 1, DidAccess.READ, lambda: bytes((server.current_session,))),
        ],
        dtcs=[DtcDefinition(DTC, DTC_STATUS)],
        security_levels=[
            SecurityLevel(READ_LEVEL, lambda: seeds.randbytes(4), key_algorithm=read_key, max_attempts=3),
            SecurityLevel(WRITE_LEVEL, lambda: seeds.randbytes(4), key_algorithm=write_key, max_attempts=3),
        ],
        routines=[
            RoutineDefinition(0xFF00, start_callback=flash.erase, access_rule=UNLOCKED_FOR_WRITING),
            RoutineDefinition(0x0202, start_callback=flash.checksum, access_rule=IN_ANY_UNLOCKED_SESSION),
            RoutineDefinition(
                0xFF01, start_callback=lambda options: b"\x00", access_rule=UNLOCKED_FOR_WRITING
            ),
        ],
        memory_regions=[
            MemoryRegionDefinition(
                BOOT_START,
                BOOT_BYTES,
                MemoryAccess.READ,
                read_callback=lambda address, length: stock(BOOT_START, BOOT_BYTES)[address:][:length],
                access_rule=IN_ANY_UNLOCKED_SESSION,
            ),
            MemoryRegionDefinition(
                CODE_START,
                CODE_BYTES,
                read_callback=flash.read,
                write_callback=flash.program,
                access_rule=IN_ANY_UNLOCKED_SESSION,
            ),
        ],
        communication_controls=[CommunicationControlDefinition(0x00), CommunicationControlDefinition(0x03)],
        resets=[EcuResetDefinition(0x01)],
        services=[ServiceConfig(0x34, access=UNLOCKED_FOR_WRITING)],
        max_transfer_block_length=BLOCK_BYTES,
    )
    return server


def _identity() -> list[DidDefinition]:
    values = {0xF191: HW, 0xF188: SW, 0xF190: VIN}
    return [
        DidDefinition(number, len(value), DidAccess.READ, read_callback=lambda value=value: value)
        for number, value in values.items()
    ]


def main() -> int:
    """Serve until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with foreign_bus(sys.argv[1]) as bus:
        server = server_on(bus)
        server.start()
        print(json.dumps({"ready": True}), flush=True)
        signal.sigwait({signal.SIGTERM})
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
