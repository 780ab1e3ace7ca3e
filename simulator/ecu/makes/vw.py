"""An ECU that takes blocks compressed and enciphered, and merely calls them good (sources: `vw-flash`).

| request | rule |
|---|---|
| `31 01 FF00 01 id` | erases a block; `31` for the one that is replaced in place |
| `34 AA 41 id size4` | the size in memory, or of what travels if its definition says so; `31` for others |
| `37` | `24` unless as much came as was announced of what travels |
| `36` | LZSS under AES-128 in CBC mode, one run over the block; `72` for what no encoder makes |
| `31 01 0202 01 id 0004 00000000` | 00 where the block is complete and its checksum right, else 02 |
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from appliance.definitions.memory import Region
from simulator.ecu import spans
from simulator.ecu.core import Answer, Core
from simulator.ecu.makes.unpacking import CorruptError, Unpacker
from simulator.ecu.nrc import Nrc, RefusedError, require
from simulator.ecu.operation import Programming
from simulator.ecu.options import TransferEnd
from simulator.ecu.services import routine, transfer
from simulator.ecu.transfer import Transfer
from simulator.ecu.validity import stored_sums
from simulator.ecu.watch import Counter

_DATA_FORMAT = 0xAA
_ID_AND_SIZE = 0x41
_MOST_DATA_BYTES = 0xFFD
_CIPHER_BYTES = 16
_CHECK = bytes.fromhex("31010202")
_ERASE = bytes.fromhex("3101FF00")
_NO_SUM = bytes.fromhex("000400000000")


class Vw:
    """What it keeps of the block that is being downloaded."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._unpacker: Unpacker | None = None
        self._announced: int | None = None
        """Of what travels; None where the length in memory is told."""
        self._came = 0
        self.services = {0x31: self._routine, 0x34: self._download, 0x36: self._data, 0x37: self._exit}

    def _routine(self, request: bytes) -> Answer:
        if self._core.in_bootloader and request[:4] == _ERASE and len(request) == 6:
            self._core.require_write_access()
            require(not self._in_place(self._region(request[5])), Nrc.REQUEST_OUT_OF_RANGE)
        if self._core.in_bootloader and request[:4] == _CHECK:
            self._core.require_write_access()
            require(len(request) == 12, Nrc.INCORRECT_LENGTH)
            require(request[4] == 0x01 and request[6:] == _NO_SUM, Nrc.REQUEST_OUT_OF_RANGE)
            return self._check(request, self._region(request[5]))
        return routine.routine_control(self._core, request)

    async def _check(self, request: bytes, region: Region) -> bytes:
        await routine.spend(self._core, region.size_bytes)
        unfinished = spans.overlaps(self._core.nvm.records.unfinished, region.start, region.end)
        own = [one for one in stored_sums(self._core.definition) if region.start <= one.store_at < region.end]
        good = not unfinished and all(one.agrees(self._core.memory) for one in own)
        return b"\x71" + request[1:4] + bytes((routine.GOOD if good else routine.BAD,))

    def _download(self, request: bytes) -> Answer:
        core = self._core
        core.require_write_access()
        require(core.transfer is None, core.options.open_transfer_nrc)
        require(len(request) == 8, Nrc.INCORRECT_LENGTH)
        require(request[1] == _DATA_FORMAT and request[2] == _ID_AND_SIZE, Nrc.REQUEST_OUT_OF_RANGE)
        region = self._region(request[3])
        told, of_wire = int.from_bytes(request[4:]), core.access.writing.announces == "wire"
        fits = 0 < told <= 2 * region.size_bytes if of_wire else told == region.size_bytes
        require(region.writable and fits, Nrc.REQUEST_OUT_OF_RANGE)
        core.require_voltage()
        core.require_turn(region.start, region.size_bytes)
        if self._in_place(region):
            require(core.session.fingerprint_written, Nrc.CONDITIONS_NOT_CORRECT)
            core.begin_erase(region.start, region.size_bytes)
        else:
            core.require_erased(region.start, region.size_bytes)
            core.begin_download(region.start, region.size_bytes)
        core.transfer = Transfer(True, region.start, region.size_bytes, _MOST_DATA_BYTES)
        self._announced, self._came = told if of_wire else None, 0
        secrets = core.definition.twin.secrets
        key, start_value = bytes.fromhex(secrets["payload_key"]), bytes.fromhex(secrets["payload_iv"])
        decryptor = Cipher(AES(key), CBC(start_value)).decryptor()
        self._unpacker = Unpacker(decryptor.update, region.size_bytes)
        return bytes((0x74, 0x20)) + (_MOST_DATA_BYTES + 2).to_bytes(2, "big")

    def _data(self, request: bytes) -> Answer:
        core, data = self._core, request[2:]
        under_way, unpacker = core.transfer, self._unpacker
        if under_way is None or not under_way.download or unpacker is None:
            return transfer.transfer_data(core, request)
        require(0 < len(data) <= _MOST_DATA_BYTES, Nrc.INCORRECT_LENGTH)
        filling = under_way.complete and unpacker.may_fill(len(data))
        if filling and request[1] == (under_way.block + 1) & 0xFF:
            self._count(len(data))
            unpacker.feed(data)
            return under_way.accept(request[1], 0, b"\x76" + request[1:2])
        if under_way.is_repeat(request[1]):
            return under_way.last_answer
        core.require_voltage()
        self._count(len(data))
        try:
            content = unpacker.feed(data)
        except CorruptError as error:
            core.end_transfer(TransferEnd.EXIT)
            core.transfer = None
            raise RefusedError(Nrc.PROGRAMMING_FAILURE) from error
        return self._program(under_way, request[1], content)

    def _count(self, came: int) -> None:
        """Raises RefusedError 0x71 where more comes than was announced, which ends the transfer."""
        self._came += came
        if self._announced is not None and self._came > self._announced:
            self._core.transfer = None
            raise RefusedError(Nrc.TRANSFER_SUSPENDED)

    def _exit(self, request: bytes) -> Answer:
        core = self._core
        if core.transfer is not None and core.transfer.download and self._announced not in (None, self._came):
            core.end_transfer(TransferEnd.EXIT)
            raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
        return transfer.transfer_exit(core, request)

    async def _program(self, under_way: Transfer, counter: int, content: bytes) -> bytes:
        core, start = self._core, under_way.address
        seconds = core.definition.twin.program_ms_per_kib * len(content) / 1024 / 1000
        region = core.memory.region_at(under_way.start)
        if self._in_place(region) and content:
            core.memory.force(start, bytes([region.erased_byte]) * len(content))
        work = Programming(core.memory, start, content)
        await core.operate(Counter.PROGRAMMED, start, len(content), seconds, work.part)
        if not work.succeeded:
            core.transfer = None
            raise RefusedError(Nrc.PROGRAMMING_FAILURE)
        return under_way.accept(counter, len(content), bytes((0x76, counter)))

    def _region(self, block_id: int) -> Region:
        for region in self._core.definition.regions:
            if region.block_id == block_id:
                return region
        raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)

    @staticmethod
    def _in_place(region: Region) -> bool:
        """Emulated memory, which its own driver erases behind the scenes."""
        return region.tag == "data"
