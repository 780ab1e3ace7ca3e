"""0x22 and 0x2E data by identifier, 0x23 and 0x3D memory by address (ISO 14229-1, 11)."""

from __future__ import annotations

from simulator.ecu.core import SCRATCH_BYTES, SCRATCH_START, Answer, Core
from simulator.ecu.nrc import Nrc, require
from simulator.ecu.services.obd import engine_speed
from simulator.ecu.session import Kind

ACTIVE_SESSION = 0xF186
BOOT_ID = 0xF180
SERIAL = 0xF18C
VIN = 0xF190
HARDWARE = 0xF191
ATTEMPT_COUNTER = 0x0407
SUCCESS_COUNTER = 0x0408
"""Programming attempts and successes, two bytes each (sources: uds-identification)."""


def identifiers(core: Core) -> dict[int, bytes]:
    """Data identifiers the running program answers, and their present values."""
    own, simulated = core.access.identity, core.definition.twin
    texts = {BOOT_ID: simulated.boot, HARDWARE: simulated.hw, SERIAL: simulated.serial}
    texts |= _named((own.boot, simulated.boot), (own.serial, simulated.serial))
    texts |= _named((own.bootloader_hw, simulated.hw))
    values = {number: text.encode("ascii") for number, text in texts.items()}
    values[ACTIVE_SESSION] = bytes((core.session.number,))
    return values if core.in_bootloader else values | _application_identifiers(core)


def _application_identifiers(core: Core) -> dict[int, bytes]:
    own, simulated, records = core.access.identity, core.definition.twin, core.nvm.records
    texts = {VIN: simulated.vin}
    texts |= _named((own.hw, simulated.hw), (own.sw, simulated.sw), (own.vin, simulated.vin))
    values = {number: text.encode("ascii") for number, text in texts.items()}
    values[ATTEMPT_COUNTER] = records.programming_attempts.to_bytes(2, "big")
    values[SUCCESS_COUNTER] = records.programming_successes.to_bytes(2, "big")
    if own.voltage is not None:
        values[own.voltage] = bytes((min(255, max(0, round(core.around.voltage_v() * 10))),))
    if own.engine_speed is not None:
        values[own.engine_speed] = engine_speed(core.around.engine_running())
    if core.access.writing.fingerprint_did is not None and records.fingerprint:
        values[core.access.writing.fingerprint_did] = bytes.fromhex(records.fingerprint)
    return values


def _named(*pairs: tuple[int | None, str]) -> dict[int, str]:
    return {number: text for number, text in pairs if number is not None}


def read_data(core: Core, request: bytes) -> Answer:
    """0x22 with one or more identifiers; those it does not know are left out unless it knows none."""
    require(len(request) % 2 == 1, Nrc.INCORRECT_LENGTH)
    known = identifiers(core)
    asked = [request[at : at + 2] for at in range(1, len(request), 2)]
    found = [number + known[key] for number in asked if (key := int.from_bytes(number, "big")) in known]
    require(bool(found), Nrc.REQUEST_OUT_OF_RANGE)
    answer = b"\x62" + b"".join(found)
    require(len(answer) <= answer_limit(core), Nrc.RESPONSE_TOO_LONG)
    return answer


def write_data(core: Core, request: bytes) -> Answer:
    """0x2E: the programming fingerprint is the one identifier that can be written."""
    writing, number = core.access.writing, int.from_bytes(request[1:3], "big")
    require(number == writing.fingerprint_did, Nrc.REQUEST_OUT_OF_RANGE)
    if core.in_bootloader:
        core.require_write_access()
    require(len(request) - 3 == len(bytes.fromhex(writing.fingerprint or "")), Nrc.INCORRECT_LENGTH)
    with core.nvm.update() as records:
        records.fingerprint = request[3:].hex()
    core.session.fingerprint_written = True
    return b"\x6e" + request[1:3]


def answer_limit(core: Core) -> int:
    """Longest answer in bytes: at least the block the definition reads at once."""
    return max(core.definition.twin.max_block_bytes, core.access.reading.block_bytes + 1)


def parse_span(field: bytes, expected: tuple[int, int], exact: bool = True) -> tuple[int, int]:
    """(address, size) of an addressAndLengthFormatIdentifier and what follows it (ISO 14229-1, H).

    `expected` is the ECU's number of address and size bytes; without `exact`, data may follow. Raises
    RefusedError 0x13 for a wrong length, 0x31 for another format or an empty span.
    """
    require(bool(field), Nrc.INCORRECT_LENGTH)
    size_bytes, address_bytes = field[0] >> 4, field[0] & 0x0F
    total = 1 + address_bytes + size_bytes
    require(len(field) == total if exact else len(field) > total, Nrc.INCORRECT_LENGTH)
    require((address_bytes, size_bytes) == expected, Nrc.REQUEST_OUT_OF_RANGE)
    size = int.from_bytes(field[1 + address_bytes : total], "big")
    require(size > 0, Nrc.REQUEST_OUT_OF_RANGE)
    return int.from_bytes(field[1 : 1 + address_bytes], "big"), size


def reading_format(core: Core) -> tuple[int, int]:
    """Address and size bytes of requests that read."""
    return core.access.reading.address_bytes, core.access.reading.size_bytes


def require_reading(core: Core) -> None:
    """Refuse unless the running program serves reads in this session, and it is unlocked for them.

    Raises RefusedError 0x7F, 0x33 or, for an ECU whose bootloader never reads, 0x11.
    """
    wanted = Kind(core.access.sessions.read_session)
    if core.in_bootloader:
        serves = core.access.reading.bootloader_reads or wanted is Kind.PROGRAMMING
        require(serves, Nrc.SERVICE_NOT_SUPPORTED)
        require(core.session.kind is Kind.PROGRAMMING, Nrc.SERVICE_NOT_IN_SESSION)
    else:
        require(wanted in (Kind.DEFAULT, core.session.kind), Nrc.SERVICE_NOT_IN_SESSION)


def read_memory(core: Core, request: bytes) -> Answer:
    """0x23 where the definition reads by address."""
    require(core.access.reading.method == "by_address", Nrc.SERVICE_NOT_SUPPORTED)
    require_reading(core)
    core.require_read_access()
    start, size = parse_span(request[1:], reading_format(core))
    require(size < answer_limit(core), Nrc.RESPONSE_TOO_LONG)
    if _in_scratch(core, start, size):
        return b"\x63" + core.scratch[start - SCRATCH_START : start - SCRATCH_START + size]
    require(core.readable(start, size), Nrc.REQUEST_OUT_OF_RANGE)
    return b"\x63" + core.read_flash(start, size)


def write_memory(core: Core, request: bytes) -> Answer:
    """0x3D: the application's scratch RAM only; flash is written by download."""
    core.require_read_access()
    start, size = parse_span(request[1:], reading_format(core), exact=False)
    header = 2 + (request[1] & 0x0F) + (request[1] >> 4)
    require(len(request) == header + size, Nrc.INCORRECT_LENGTH)
    require(_in_scratch(core, start, size), Nrc.REQUEST_OUT_OF_RANGE)
    core.scratch[start - SCRATCH_START : start - SCRATCH_START + size] = request[header:]
    return b"\x7d" + request[1:header]


def _in_scratch(core: Core, start: int, size: int) -> bool:
    inside = start >= SCRATCH_START and start + size <= SCRATCH_START + SCRATCH_BYTES
    return inside and not core.in_bootloader
