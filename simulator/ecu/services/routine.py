"""0x31 RoutineControl (ISO 14229-1, 13). All numbers are big-endian; `rid` is the routine id.

| routine | request | answer |
|---|---|---|
| preconditions (`sessions.precondition_routine`) | `31 01 rid` | `71 01 rid 00` |
| erase by address (`erasing`) | `31 01 rid alfid addr size`, whole sectors | `71 01 rid 00` |
| erase by block | `31 01 rid 01 block` | `71 01 rid 00` |
| result of the last erase | `31 03 rid` | `71 03 rid 00`, `24` if there was none since the session began |
| check, `hash_range` | `31 01 rid alfid addr size` | `71 01 rid hash` |
| check, `compare_range` | `31 01 rid alfid addr size hash` | `71 01 rid 00` equal, `02` not equal |
| check, `compare_block` | `31 01 rid 01 block length:2 hash` | the same |
| check, `status` | `31 01 rid alfid addr size` | `71 01 rid 00` programmed to its end, `02` not |
| dependencies (`checking`) | `31 01 rid` | `71 01 rid 00` the application may run, `02` it may not |

`alfid` is that of the definition's downloads, or 44 where it downloads by block; a payload of the
definition takes the place of all three. The checks answer in the bootloader, unlocked, and those by address
with a hash in the application too wherever reading is allowed. A fingerprint the definition names has to be
written before the first erase of a session (NRC 0x22).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appliance.contract.places import Range
from appliance.definitions.memory import Region
from simulator.ecu.core import Answer, Core
from simulator.ecu.hashes import hash_of
from simulator.ecu.nrc import Nrc, RefusedError, require
from simulator.ecu.operation import erase_part
from simulator.ecu.options import TransferEnd
from simulator.ecu.services.data import parse_span, require_reading
from simulator.ecu.session import Kind
from simulator.ecu.spans import overlaps
from simulator.ecu.watch import Counter

GOOD = 0x00
BAD = 0x02

Routine = Callable[[Core, bytes], Answer]


def routine_control(core: Core, request: bytes) -> Answer:
    """NRC order: unknown routine 0x31, sub-function 0x12, then the routine's own."""
    routine = _routines(core).get(int.from_bytes(request[2:4], "big"))
    if routine is None:
        raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
    if request[1] == 0x03 and routine in (_erase_span, _erase_block):
        return _erase_result(core, request)
    require(request[1] == 0x01, Nrc.SUB_FUNCTION_NOT_SUPPORTED)
    return routine(core, request)


def _routines(core: Core) -> dict[int | None, Routine]:
    """Routines the running program offers in its present session, by identifier."""
    access, checking = core.access, core.access.checking
    table: dict[int | None, Routine] = {}
    if not core.in_bootloader:
        table[access.sessions.precondition_routine] = _preconditions
        if checking.style in _ALSO_IN_THE_APPLICATION:
            table[checking.routine] = _CHECKS[checking.style]
    elif core.session.kind is Kind.PROGRAMMING:
        table[access.erasing.routine] = _erase_span if access.erasing.by == "address" else _erase_block
        if checking.style in _CHECKS:
            table[checking.routine] = _CHECKS[checking.style]
        table[checking.dependencies_routine] = _dependencies
    table.pop(None, None)  # what the definition does not name
    return table


def _done(request: bytes, *status: int) -> bytes:
    return b"\x71\x01" + request[2:4] + bytes(status)


def _preconditions(core: Core, request: bytes) -> Answer:
    require(len(request) == 4, Nrc.INCORRECT_LENGTH)
    require(not core.around.engine_running(), Nrc.ENGINE_RUNNING)
    core.require_voltage()
    core.session.preconditions_checked = True
    return _done(request, GOOD)


def _span(core: Core, request: bytes) -> tuple[int, int]:
    writing = core.access.writing
    by_address = writing.by == "address"
    expected = (writing.address_bytes, writing.size_bytes) if by_address else (4, 4)
    return parse_span(request[4:], expected)


def _block(core: Core, block_id: int) -> Region:
    for region in core.definition.regions:
        if region.block_id == block_id:
            return region
    raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)


def _erase_span(core: Core, request: bytes) -> Answer:
    core.require_write_access()
    return erase_memory(core, request, *_span(core, request))


def _erase_block(core: Core, request: bytes) -> Answer:
    core.require_write_access()
    require(len(request) == 6, Nrc.INCORRECT_LENGTH)
    require(request[4] == 0x01, Nrc.REQUEST_OUT_OF_RANGE)
    region = _block(core, request[5])
    return erase_memory(core, request, region.start, region.size_bytes)


def erase_memory(core: Core, request: bytes, start: int, size: int) -> Answer:
    """Whole sectors, answered with status 00. Raises RefusedError."""
    sectors = core.memory.sectors(start, size) if core.writable(start, size) else None
    if sectors is None:
        raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
    fingerprinted = core.session.fingerprint_written or core.access.writing.fingerprint_did is None
    require(fingerprinted, Nrc.CONDITIONS_NOT_CORRECT)
    core.require_voltage()
    taken = core.taken_with(start, size)
    more = [sector for span in taken for sector in core.memory.sectors(*span) or []]
    return _erase_sectors(core, request, [(start, size), *taken], [*sectors, *more])


async def _erase_sectors(
    core: Core, request: bytes, spans: list[tuple[int, int]], sectors: list[Range]
) -> bytes:
    """What was asked for, and what its erase takes with it."""
    core.end_transfer(TransferEnd.ERASE)
    core.session.erased = False
    for span in spans:
        core.begin_erase(*span)
    size = sum(sector.length for sector in sectors)
    seconds = core.definition.twin.erase_ms_per_kib * size / 1024 / 1000
    await core.operate(Counter.ERASED, sectors[0].start, size, seconds, erase_part(core.memory, sectors))
    for span in spans:
        core.note_erased(*span)
    core.session.erased = True
    return _done(request, GOOD)


def _erase_result(core: Core, request: bytes) -> Answer:
    require(len(request) == 4, Nrc.INCORRECT_LENGTH)
    require(core.session.erased, Nrc.REQUEST_SEQUENCE_ERROR)
    return b"\x71" + request[1:] + bytes((GOOD,))


def _require_checkable(core: Core) -> None:
    if core.in_bootloader:
        core.require_write_access()
    else:
        require_reading(core)
        core.require_read_access()


def _place(core: Core, record: bytes) -> tuple[int, int]:
    """The memory that an option record names, by span or as the definition's payloads do."""
    checking, writing = core.access.checking, core.access.writing
    if checking.payloads:
        return _place_of_payload(core, record)
    by_address = writing.by == "address"
    start, size = parse_span(record, (writing.address_bytes, writing.size_bytes) if by_address else (4, 4))
    require(core.memory.contains(start, size), Nrc.REQUEST_OUT_OF_RANGE)
    if checking.hash_granularity == "sector":
        require(core.memory.sectors(start, size) is not None, Nrc.REQUEST_OUT_OF_RANGE)
    return start, size


def _place_of_payload(core: Core, record: bytes) -> tuple[int, int]:
    for one in core.access.checking.payloads:
        if bytes.fromhex(one.payload) == record:
            region = core.definition.region(one.region)
            if one.start is None:
                return region.start, region.size_bytes
            sector = next(sector for sector in region.sector_ranges() if sector.start == one.start)
            return sector.start, sector.length
    raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)


def _hash_range(core: Core, request: bytes) -> Answer:
    _require_checkable(core)
    return _hash(core, request, *_place(core, request[4:]))


async def _hash(core: Core, request: bytes, start: int, size: int) -> bytes:
    return _done(request, *await _hashed(core, start, size))


def _compare_range(core: Core, request: bytes) -> Answer:
    _require_checkable(core)
    hashed = len(hash_of(core.access.checking.hash_kind, b""))
    require(len(request) > 4 + hashed, Nrc.INCORRECT_LENGTH)
    start, size = _place(core, request[4:-hashed])
    return _compare(core, request, start, size, request[-hashed:])


def _compare_block(core: Core, request: bytes) -> Answer:
    core.require_write_access()
    hashed = len(hash_of(core.access.checking.hash_kind, b""))
    require(len(request) == 8 + hashed, Nrc.INCORRECT_LENGTH)
    require(request[4] == 0x01 and request[6:8] == hashed.to_bytes(2, "big"), Nrc.REQUEST_OUT_OF_RANGE)
    region = _block(core, request[5])
    return _compare(core, request, region.start, region.size_bytes, request[8:])


async def _compare(core: Core, request: bytes, start: int, size: int, expected: bytes) -> bytes:
    return _status(core, request, await _hashed(core, start, size) == expected)


def _check(core: Core, request: bytes) -> Answer:
    """Style `status`: whether what is named was programmed to its end; a fixed payload names everything."""
    core.require_write_access()
    checking = core.access.checking
    if checking.payload is None:
        return _check_spans(core, request, [_place(core, request[4:])])
    require(request[4:] == bytes.fromhex(checking.payload), Nrc.REQUEST_OUT_OF_RANGE)
    writable = [region for region in core.definition.regions if region.writable]
    return _check_spans(core, request, [(region.start, region.size_bytes) for region in writable])


async def _check_spans(core: Core, request: bytes, places: list[tuple[int, int]]) -> bytes:
    await spend(core, sum(size for _, size in places))
    unfinished = core.nvm.records.unfinished
    return _status(core, request, not any(overlaps(unfinished, at, at + size) for at, size in places))


def _status(core: Core, request: bytes, good: bool) -> bytes:
    """As long as the definition says; only the first byte means something."""
    rest = bytes(core.access.checking.status_bytes - 1)
    return _done(request, GOOD if good else BAD, *rest)


async def _hashed(core: Core, start: int, size: int) -> bytes:
    await spend(core, size)
    return hash_of(core.access.checking.hash_kind, core.memory.read(start, size))


async def spend(core: Core, size: int) -> None:
    """The time that looking at so many bytes takes."""
    await asyncio.sleep(core.definition.twin.hash_ms_per_kib * size / 1024 / 1000)


_CHECKS: dict[str, Routine] = {
    "hash_range": _hash_range,
    "compare_range": _compare_range,
    "compare_block": _compare_block,
    "status": _check,
}
_ALSO_IN_THE_APPLICATION = ("hash_range", "compare_range")


def _dependencies(core: Core, request: bytes) -> Answer:
    core.require_write_access()
    require(len(request) == 4, Nrc.INCORRECT_LENGTH)
    return _judge(core, request)


async def _judge(core: Core, request: bytes) -> bytes:
    covered = sum(region.size_bytes for region in core.definition.regions if region.writable)
    await asyncio.sleep(core.definition.twin.hash_ms_per_kib * covered / 1024 / 1000)
    return _done(request, GOOD if core.judge_memory() else BAD)
