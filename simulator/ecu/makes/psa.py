"""An ECU that erases a piece at each request, until it says that it is done (sources: `psa-flash`).

| request | rule |
|---|---|
| `31 01 FF00 type F05A` | 01 while there is more to erase, 02 when all is; the same is asked again |
| `34 type 44 start4 size4` | the whole block of that type |
| `36 n data crc` | CRC-16/X-25 of all before it, little-endian; 02 taken, 0A wrong sum |
| `31 01 FF04 type` | 01 once, then 02 complete and right, 03 not |
| `31 03 FF04` | 01 once, then 02 the application may run, 03 it may not |
"""

from __future__ import annotations

from appliance.definitions.memory import Region
from simulator.ecu import spans
from simulator.ecu.core import Answer, Core
from simulator.ecu.nrc import Nrc, RefusedError, require
from simulator.ecu.operation import erase_part
from simulator.ecu.services import data, routine, transfer
from simulator.ecu.transfer import Transfer
from simulator.ecu.validity import stored_sums
from simulator.ecu.watch import Counter

_LIMIT_BYTES = 0x802
_SLICE_BYTES = 0x2000
_ERASE, _CHECK, _JUDGE = (bytes.fromhex(text) for text in ("3101FF00", "3101FF04", "3103FF04"))
_KEYWORD = bytes.fromhex("F05A")
_BUSY, _DONE, _FAILED, _BAD_SUM = 0x01, 0x02, 0x03, 0x0A


class Psa:
    """What it is erasing or checking, and how far it is."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._erasing: tuple[int, int] | None = None
        """Block and bytes done; all of them until a download begins."""
        self._checking: bytes | None = None
        self.services = {0x31: self._routine, 0x34: self._download, 0x36: self._data}

    def _routine(self, request: bytes) -> Answer:
        core = self._core
        if not core.in_bootloader:
            return routine.routine_control(core, request)
        core.require_write_access()
        if request[:4] == _ERASE:
            require(len(request) == 7, Nrc.INCORRECT_LENGTH)
            region = self._region(request[4])
            require(region.writable and request[5:] == _KEYWORD, Nrc.REQUEST_OUT_OF_RANGE)
            core.require_voltage()
            return self._erase(request, region)
        if request[:4] == _CHECK:
            require(len(request) == 5, Nrc.INCORRECT_LENGTH)
            return self._check(request, self._region(request[4]))
        require(request[:4] == _JUDGE, Nrc.REQUEST_OUT_OF_RANGE)
        require(len(request) == 4, Nrc.INCORRECT_LENGTH)
        return self._check(request, None)

    async def _erase(self, request: bytes, region: Region) -> bytes:
        core, block_id = self._core, request[4]
        if self._erasing is None or self._erasing[0] != block_id:
            core.transfer = None
            self._erasing = (block_id, 0)
        done = self._erasing[1]
        places = [(region.start, region.size_bytes), *core.taken_with(region.start, region.size_bytes)]
        size = sum(place[1] for place in places)
        if not done:
            for place in places:
                core.begin_erase(*place)
        if done < size:
            count = min(_SLICE_BYTES, size - done)
            sectors = [sector for place in places for sector in core.memory.sectors(*place) or []]
            whole = erase_part(core.memory, sectors)
            seconds = core.definition.twin.erase_ms_per_kib * count / 1024 / 1000
            await core.operate(
                Counter.ERASED,
                region.start + done,
                count,
                seconds,
                lambda begin, stop: whole(done + begin, done + stop),
            )
            done += count
            self._erasing = (block_id, done)
            for place in places if done == size else ():
                core.note_erased(*place)
        return _status(request, _DONE if done == size else _BUSY)

    async def _check(self, request: bytes, region: Region | None) -> bytes:
        if self._checking != request:
            self._checking = request
            return _status(request, _BUSY)
        self._checking = None
        core = self._core
        chosen = [region] if region else [one for one in core.definition.regions if one.writable]
        await routine.spend(core, sum(one.size_bytes for one in chosen))
        good = all(self._right(one) for one in chosen) if region else core.judge_memory()
        return _status(request, _DONE if good else _FAILED)

    def _right(self, region: Region) -> bool:
        core = self._core
        sums = [one for one in stored_sums(core.definition) if region.start <= one.store_at < region.end]
        whole = not spans.overlaps(core.nvm.records.unfinished, region.start, region.end)
        return whole and all(one.agrees(core.memory) for one in sums)

    def _download(self, request: bytes) -> Answer:
        core = self._core
        core.require_write_access()
        require(core.transfer is None, core.options.open_transfer_nrc)
        start, size = data.parse_span(request[2:], (4, 4))
        region = self._region(request[1])
        fits = region.writable and (start, size) == (region.start, region.size_bytes)
        require(fits, Nrc.REQUEST_OUT_OF_RANGE)
        core.require_voltage()
        core.require_erased(start, size)
        core.require_turn(start, size)
        core.begin_download(start, size)
        self._erasing = None
        core.transfer = Transfer(True, start, size, _LIMIT_BYTES - 4)
        return bytes((0x74, 0x20)) + _LIMIT_BYTES.to_bytes(2, "big")

    def _data(self, request: bytes) -> Answer:
        core = self._core
        if core.transfer is None or not core.transfer.download:
            return transfer.transfer_data(core, request)
        require(len(request) > 4, Nrc.INCORRECT_LENGTH)
        if int.from_bytes(request[-2:], "little") != _x25(request[:-2]):
            return b"\x76" + request[1:2] + bytes((_BAD_SUM,))
        return self._taken(request[:-2])

    async def _taken(self, request: bytes) -> bytes:
        outcome = transfer.transfer_data(self._core, request)
        answer = outcome if isinstance(outcome, bytes) else await outcome
        return answer + bytes((_DONE,))

    def _region(self, block_id: int) -> Region:
        for region in self._core.definition.regions:
            if region.block_id == block_id:
                return region
        raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)


def _status(request: bytes, status: int) -> bytes:
    return b"\x71" + request[1:4] + bytes((status,))


def _x25(message: bytes) -> int:
    """Polynomial 1021, lowest bit first, all ones at both ends."""
    register = 0xFFFF
    for byte in message:
        register = register >> 8 ^ _X25_TABLE[(register ^ byte) & 0xFF]
    return register ^ 0xFFFF


def _x25_of(byte: int) -> int:
    """Bit by bit."""
    for _ in range(8):
        byte = byte >> 1 ^ (0x8408 if byte & 1 else 0)
    return byte


_X25_TABLE = [_x25_of(byte) for byte in range(256)]
