"""An ECU of the old services over ISO-TP (sources: `kwp-routines`, `pq-steering`).

| request | rule |
|---|---|
| `1A` 8C, 90, 91, 9A, 9B | who it is; 90 and 9A by the application alone; `22` is unknown |
| `10 02` | after the unlock for reading; then it is deaf until its boot loader runs, which forgot all that |
| `23 addr3 size1` | memory; the boot loader reads too, unlocked |
| `35 addr3 00 size3` | where its definition uploads: the same memory by `36` and `37` |
| `31 01 FF00 id` | begins an erase: 01; `31 03 FF00` goes on with it: 01 not yet, 00 done; `24` out of turn |
| `34 11 id wire4` | the length of what travels, compressed; `37` is refused (`24`) behind another |
| `31 01 0202 id` | 00 where the block is complete and its checksum right, else 02 |
| `31 01 FF01` | 00 the application may run, else 02 |
| `82` | the tester leaves; an application that was written and not left so keeps P0602 |
| `3E` | while it erases or takes a block: it breaks off |
"""

from __future__ import annotations

import asyncio

from appliance.definitions.memory import Region
from appliance.definitions.place_steps import Upload
from simulator.ecu import spans
from simulator.ecu.chip import Program
from simulator.ecu.core import Answer, Core
from simulator.ecu.makes.unpacking import CorruptError, Unpacker
from simulator.ecu.nrc import Nrc, RefusedError, require
from simulator.ecu.operation import Programming, erase_part
from simulator.ecu.options import TransferEnd
from simulator.ecu.services import data, dtc, routine, session_control, transfer
from simulator.ecu.session import Kind
from simulator.ecu.transfer import Transfer
from simulator.ecu.validity import stored_sums
from simulator.ecu.watch import Counter

NOT_LEFT_CLEAN = "P0602-00"
_LIMIT_BYTES = 0x402
_SLICE_BYTES = 0x2000
_LZSS = 0x11
_ID_AND_SIZE = 6
_PLACE_AND_SIZE = 7
_BEGIN, _GO_ON, _CHECK, _JUDGE = (
    bytes.fromhex(text) for text in ("3101FF00", "3103FF00", "31010202", "3101FF01")
)
_BUSY, _BEGUN = 0x01, 0x01


class Veteran:
    """What it erases, what it takes, and what has come of it."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._erasing: Region | None = None
        self._done = 0
        self._unpacker: Unpacker | None = None
        self._announced = self._came = 0
        core.on_present = self._disturbed
        self.services = {
            0x10: self._session,
            0x1A: self._identify,
            0x22: self._unknown,
            0x23: self._read,
            0x31: self._routine,
            0x34: self._download,
            0x35: self._upload,
            0x36: self._data,
            0x37: self._exit,
            0x3E: self._present,
            0x82: self._leave,
        }

    def _unknown(self, request: bytes) -> Answer:
        raise RefusedError(Nrc.SERVICE_NOT_SUPPORTED)

    def _identify(self, request: bytes) -> Answer:
        require(len(request) == 2, Nrc.INCORRECT_LENGTH)
        core, twin = self._core, self._core.definition.twin
        texts = {0x8C: twin.serial, 0x91: twin.boot, 0x9B: self._long_name()}
        if not core.in_bootloader:
            texts |= {0x90: twin.vin, 0x9A: twin.sw}
        require(request[1] in texts, Nrc.REQUEST_OUT_OF_RANGE)
        return b"\x5a" + request[1:2] + texts[request[1]].encode("ascii")

    def _long_name(self) -> str:
        """46 bytes: part number, version, coding, workshop, name."""
        name = "BOOT" if self._core.in_bootloader else "APPL"
        return f"{self._core.definition.twin.hw:<12}0023----WORKSP{name:<20}"

    def _session(self, request: bytes) -> Answer:
        core = self._core
        self._erasing = None
        kind = session_control.session_numbers(core)[request[1] & 0x7F]
        if kind is not Kind.PROGRAMMING or core.in_bootloader:
            return session_control.session_control(core, request)
        level = core.access.sessions.read_security
        require(core.session.kind is Kind.EXTENDED, Nrc.SUB_FUNCTION_NOT_IN_SESSION)
        require(level is not None and level.level in core.session.unlocked, Nrc.SECURITY_ACCESS_DENIED)
        require(not core.around.engine_running(), Nrc.ENGINE_RUNNING)
        core.require_voltage()
        core.follow_up = self._start_over
        return b"\x50" + request[1:2] + core.timing_record()

    def _start_over(self) -> None:
        """Deaf from here on, and in the boot loader afterwards."""
        core, wait_s = self._core, self._core.definition.twin.boot_ms / 1000
        core.program = Program.BOOTING
        asyncio.get_running_loop().call_later(wait_s, self._started)

    def _started(self) -> None:
        core = self._core
        if core.make is self and core.program is Program.BOOTING:
            core.program = Program.BOOTLOADER
            core.start_up(TransferEnd.SESSION)
            core.enter_session(Kind.EXTENDED, core.access.sessions.extended)

    def _read(self, request: bytes) -> Answer:
        core = self._core
        require(len(request) == 5, Nrc.INCORRECT_LENGTH)
        data.require_reading(core)
        core.require_read_access()
        start, size = int.from_bytes(request[1:4]), request[4]
        require(core.readable(start, size), Nrc.REQUEST_OUT_OF_RANGE)
        return b"\x63" + core.read_flash(start, size)

    def _routine(self, request: bytes) -> Answer:
        core = self._core
        require(core.in_bootloader, Nrc.REQUEST_OUT_OF_RANGE)
        core.require_write_access()
        if request[:4] == _BEGIN:
            require(len(request) == 5, Nrc.INCORRECT_LENGTH)
            return self._begin_erase(request, self._region(request[4]))
        if request == _GO_ON:
            require(self._erasing is not None, Nrc.REQUEST_SEQUENCE_ERROR)
            return self._go_on()
        require(self._erasing is None, Nrc.CONDITIONS_NOT_CORRECT)
        if request[:4] == _CHECK and len(request) == 5:
            return self._check(request, self._region(request[4]))
        require(request == _JUDGE, Nrc.REQUEST_OUT_OF_RANGE)
        return self._judge()

    def _begin_erase(self, request: bytes, region: Region) -> bytes:
        core = self._core
        require(region.writable, Nrc.REQUEST_OUT_OF_RANGE)
        require(self._erasing is None, Nrc.REQUEST_SEQUENCE_ERROR)
        core.require_voltage()
        core.end_transfer(TransferEnd.ERASE)
        self._erasing, self._done = region, 0
        with core.nvm.update() as records:
            records.dtcs[NOT_LEFT_CLEAN] = dtc.STORED_STATUS
        for place in self._places(region):
            core.begin_erase(*place)
        return _answer(request, _BEGUN)

    def _places(self, region: Region) -> list[tuple[int, int]]:
        return [(region.start, region.size_bytes), *self._core.taken_with(region.start, region.size_bytes)]

    async def _go_on(self) -> bytes:
        core, region = self._core, self._erasing
        if region is None:
            raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
        places, done = self._places(region), self._done
        size = sum(place[1] for place in places)
        count = min(_SLICE_BYTES, size - done)
        whole = erase_part(
            core.memory, [sector for place in places for sector in core.memory.sectors(*place) or []]
        )
        seconds = core.definition.twin.erase_ms_per_kib * count / 1024 / 1000
        try:
            await core.operate(
                Counter.ERASED,
                region.start + done,
                count,
                seconds,
                lambda begin, stop: whole(done + begin, done + stop),
            )
        except RefusedError:
            self._erasing = None
            raise
        self._done = done + count
        if self._done < size:
            return _answer(_GO_ON, _BUSY)
        self._erasing = None
        for place in places:
            core.note_erased(*place)
        return _answer(_GO_ON, routine.GOOD)

    async def _check(self, request: bytes, region: Region) -> bytes:
        core = self._core
        await routine.spend(core, region.size_bytes)
        begun = spans.overlaps(core.nvm.records.unfinished, region.start, region.end)
        own = [one for one in stored_sums(core.definition) if region.start <= one.store_at < region.end]
        good = not begun and all(one.agrees(core.memory) for one in own)
        return _answer(request, routine.GOOD if good else routine.BAD)

    async def _judge(self) -> bytes:
        core = self._core
        await routine.spend(core, sum(one.size_bytes for one in core.definition.regions if one.writable))
        return _answer(_JUDGE, routine.GOOD if core.judge_memory() else routine.BAD)

    def _download(self, request: bytes) -> Answer:
        core = self._core
        core.require_write_access()
        require(core.transfer is None, core.options.open_transfer_nrc)
        require(self._erasing is None, Nrc.CONDITIONS_NOT_CORRECT)
        require(len(request) == 1 + _ID_AND_SIZE and request[1] == _LZSS, Nrc.REQUEST_OUT_OF_RANGE)
        region, announced = self._region(request[2]), int.from_bytes(request[3:])
        require(region.writable and 0 < announced <= 2 * region.size_bytes, Nrc.REQUEST_OUT_OF_RANGE)
        core.require_voltage()
        core.require_erased(region.start, region.size_bytes)
        core.require_turn(region.start, region.size_bytes)
        core.begin_download(region.start, region.size_bytes)
        core.transfer = Transfer(True, region.start, region.size_bytes, _LIMIT_BYTES - 2)
        self._unpacker = Unpacker(bytes, region.size_bytes)
        self._announced, self._came = announced, 0
        return bytes((0x74, 0x20)) + _LIMIT_BYTES.to_bytes(2)

    def _upload(self, request: bytes) -> Answer:
        core = self._core
        uploads = any(isinstance(step, Upload) for step in core.access.steps.read or ())
        require(uploads, Nrc.SERVICE_NOT_SUPPORTED)
        require(len(request) == 1 + _PLACE_AND_SIZE, Nrc.INCORRECT_LENGTH)
        data.require_reading(core)
        core.require_read_access()
        require(core.transfer is None, core.options.open_transfer_nrc)
        require(self._erasing is None, Nrc.CONDITIONS_NOT_CORRECT)
        start, size = int.from_bytes(request[1:4]), int.from_bytes(request[5:])
        require(request[4] == 0x00 and size > 0, Nrc.REQUEST_OUT_OF_RANGE)
        require(core.readable(start, size), Nrc.REQUEST_OUT_OF_RANGE)
        core.transfer, self._unpacker = Transfer(False, start, size, _LIMIT_BYTES - 2), None
        self._announced = self._came = 0
        return bytes((0x75, 0x20)) + _LIMIT_BYTES.to_bytes(2)

    def _data(self, request: bytes) -> Answer:
        core, content = self._core, request[2:]
        under_way, unpacker = core.transfer, self._unpacker
        if under_way is None or unpacker is None:
            return transfer.transfer_data(core, request)
        require(0 < len(content) <= _LIMIT_BYTES - 2, Nrc.INCORRECT_LENGTH)
        if not under_way.complete or request[1] == under_way.block:
            if under_way.is_repeat(request[1]):
                return under_way.last_answer
        elif request[1] != (under_way.block + 1) & 0xFF:
            raise RefusedError(Nrc.WRONG_BLOCK_SEQUENCE_COUNTER)
        core.require_voltage()
        if self._came + len(content) > self._announced:
            core.transfer = None
            raise RefusedError(Nrc.TRANSFER_SUSPENDED)
        try:
            made = unpacker.feed(content)
        except CorruptError as error:
            core.transfer = None
            raise RefusedError(Nrc.PROGRAMMING_FAILURE) from error
        self._came += len(content)
        return self._program(under_way, request[1], made)

    async def _program(self, under_way: Transfer, counter: int, made: bytes) -> bytes:
        core = self._core
        seconds = core.definition.twin.program_ms_per_kib * len(made) / 1024 / 1000
        work = Programming(core.memory, under_way.address, made)
        await core.operate(Counter.PROGRAMMED, under_way.address, len(made), seconds, work.part)
        if not work.succeeded:
            core.transfer = None
            raise RefusedError(Nrc.PROGRAMMING_FAILURE)
        return under_way.accept(counter, len(made), bytes((0x76, counter)))

    def _exit(self, request: bytes) -> Answer:
        core = self._core
        if core.transfer is not None and core.transfer.complete and self._came != self._announced:
            core.end_transfer(TransferEnd.EXIT)
            raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
        return transfer.transfer_exit(core, request)

    def _present(self, request: bytes) -> Answer:
        self._disturbed()
        return session_control.tester_present(self._core, bytes((0x3E, request[1] & 0x7F)) + request[2:])

    def _disturbed(self) -> None:
        """A tester that is present wants something else, it thinks."""
        core = self._core
        core.break_off(Nrc.PROGRAMMING_FAILURE)
        self._erasing = None
        if core.transfer is not None and core.transfer.download:
            core.transfer = None

    def _leave(self, request: bytes) -> Answer:
        core = self._core
        require(len(request) == 1, Nrc.INCORRECT_LENGTH)
        with core.nvm.update() as records:
            if records.application_valid:
                records.dtcs.pop(NOT_LEFT_CLEAN, None)
        core.enter_session(Kind.DEFAULT, 0x01)
        if core.in_bootloader:
            core.follow_up = core.reset
        return b"\xc2"

    def _region(self, block_id: int) -> Region:
        for region in self._core.definition.regions:
            if region.block_id == block_id:
                return region
        raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)


def _answer(request: bytes, status: int) -> bytes:
    return b"\x71" + request[1:4] + bytes((status,))
