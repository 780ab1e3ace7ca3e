"""0x34 download, 0x35 upload, 0x36 blocks, 0x37 exit (ISO 14229-1, 14).

A download must lie in erased cells: 0x24 if they were never erased, 0x70 if an earlier download began there.
More bytes than announced end the transfer with 0x71; a cell that does not take its bits, with 0x72.
"""

from __future__ import annotations

from simulator.ecu.core import Answer, Core
from simulator.ecu.nrc import Nrc, RefusedError, require
from simulator.ecu.operation import Programming
from simulator.ecu.options import TransferEnd
from simulator.ecu.services.data import parse_span, reading_format, require_reading
from simulator.ecu.session import Kind
from simulator.ecu.transfer import Transfer
from simulator.ecu.watch import Counter

_LENGTH_FORMAT = 0x20
"""Two bytes of maxNumberOfBlockLength follow."""


def request_download(core: Core, request: bytes) -> Answer:
    """0x34, to an address or to a block id as the definition writes."""
    core.require_write_access()
    require(core.transfer is None, core.options.open_transfer_nrc)
    start, size = _download_span(core, request)
    require(request[1] == core.access.writing.data_format, Nrc.REQUEST_OUT_OF_RANGE)
    require(core.writable(start, size), Nrc.REQUEST_OUT_OF_RANGE)
    core.require_voltage()
    core.require_erased(start, size)
    core.require_turn(start, size)
    limit = core.definition.twin.max_block_bytes
    core.begin_download(start, size)
    core.transfer = Transfer(True, start, size, limit - 2)
    return bytes((0x74, _LENGTH_FORMAT)) + limit.to_bytes(2, "big")


def _download_span(core: Core, request: bytes) -> tuple[int, int]:
    writing = core.access.writing
    address, size = parse_span(request[2:], (writing.address_bytes, writing.size_bytes))
    if writing.by == "block_id":
        region = next((one for one in core.definition.regions if one.block_id == address), None)
        if region is None or region.size_bytes != size:
            raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
        return region.start, size
    return address, size


def request_upload(core: Core, request: bytes) -> Answer:
    """0x35 where the definition reads by upload."""
    require(core.access.reading.method == "upload", Nrc.SERVICE_NOT_SUPPORTED)
    require_reading(core)
    core.require_read_access()
    require(core.transfer is None, core.options.open_transfer_nrc)
    start, size = parse_span(request[2:], reading_format(core))
    require(request[1] == 0x00 and core.readable(start, size), Nrc.REQUEST_OUT_OF_RANGE)
    limit = core.definition.twin.max_block_bytes
    core.transfer = Transfer(False, start, size, limit - 2)
    return bytes((0x75, _LENGTH_FORMAT)) + limit.to_bytes(2, "big")


def transfer_data(core: Core, request: bytes) -> Answer:
    """0x36. A repeat of the last block is acknowledged again and changes nothing."""
    transfer = _transfer(core)
    counter, data = request[1], request[2:]
    if transfer.download:
        require(0 < len(data) <= transfer.max_data_bytes, Nrc.INCORRECT_LENGTH)
    else:
        require(not data, Nrc.INCORRECT_LENGTH)
    if transfer.is_repeat(counter):
        return transfer.last_answer
    if not transfer.download:
        return _upload_block(core, transfer, counter)
    if len(data) > transfer.size - transfer.done:
        core.transfer = None
        raise RefusedError(Nrc.TRANSFER_SUSPENDED)
    core.require_voltage()
    return _program_block(core, transfer, counter, data)


def _transfer(core: Core) -> Transfer:
    """The transfer under way. Raises RefusedError: 0x7F outside its sessions, else 0x24 without one."""
    require(core.session.kind is not Kind.DEFAULT or core.transfer is not None, Nrc.SERVICE_NOT_IN_SESSION)
    if core.transfer is None:
        raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
    return core.transfer


def _upload_block(core: Core, transfer: Transfer, counter: int) -> bytes:
    count = min(transfer.max_data_bytes, transfer.size - transfer.done)
    data = core.read_flash(transfer.address, count)
    return transfer.accept(counter, count, bytes((0x76, counter)) + data)


async def _program_block(core: Core, transfer: Transfer, counter: int, data: bytes) -> bytes:
    seconds = core.definition.twin.program_ms_per_kib * len(data) / 1024 / 1000
    work = Programming(core.memory, transfer.address, data)
    await core.operate(Counter.PROGRAMMED, transfer.address, len(data), seconds, work.part)
    if not work.succeeded:
        core.transfer = None
        raise RefusedError(Nrc.PROGRAMMING_FAILURE)
    return transfer.accept(counter, len(data), bytes((0x76, counter)))


def transfer_exit(core: Core, request: bytes) -> Answer:
    """0x37. Before every announced byte was moved it gives the transfer up, with 0x24."""
    require(len(request) == 1, Nrc.INCORRECT_LENGTH)
    transfer = _transfer(core)
    if not transfer.complete:
        core.end_transfer(TransferEnd.EXIT)
        raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
    core.transfer = None
    if transfer.download:
        core.note_programmed(transfer.start, transfer.size)
    return b"\x77"
