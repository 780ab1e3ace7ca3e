"""An ECU that is written by its owner's secondary boot loader (sources: `vbf`).

| order | request | rule |
|---|---|---|
| 1 | `10 82`, to everybody | ten times within two seconds, or the jump is refused with `22` |
| 2 | `10 02` | starts the primary boot loader, which takes nothing for a second (`22`) |
| 3 | `27 03/04` | as everywhere |
| 4 | `34 00 44`, `36`, `37` to RAM | `37` answers the CRC-16 of what came |
| 5 | `31 01 0301 call4` | 10: the loader runs, if it is one; `31` at any other place |
| 6 | `31 01 FF00 start4 size4` | by the loader alone, whole sectors, 00 |
| 7 | `34`, `36`, `37`; `35`, `36`, `37` | by the loader alone |
| 8 | `31 01 0304` | 10: the application may run |
| - | `22 D0F0` | answered by the loader alone |
"""

from __future__ import annotations

from simulator.ecu.core import Answer, Core
from simulator.ecu.hashes import hash_of
from simulator.ecu.nrc import Nrc, RefusedError, require
from simulator.ecu.services import data, routine, session_control, transfer
from simulator.ecu.services.security import security_access
from simulator.ecu.session import Kind
from simulator.ecu.transfer import Transfer

RAM_START = 0x4000_0000
RAM_BYTES = 0x4000
MAGIC = b"PBXSBL01"
_QUIET_TIMES = 10
_QUIET_S = 2.0
_SETTLES_S = 1.0
_LIMIT_BYTES = 0x802
_RUNNING_DID = bytes.fromhex("22D0F0")
_START, _ERASE, _JUDGE = (bytes.fromhex(text) for text in ("31010301", "3101FF00", "31010304"))
_GOOD, _BAD = 0x10, 0x02


class Vbf:
    """Quiet, primary boot loader, loader in RAM, loader running: in this order."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._quiet_s: list[float] = []
        self.settled_s = 0.0
        self._loading: Transfer | None = None
        self._ram = bytearray()
        self._running = False
        self._received = bytearray()
        self.services = {
            0x10: self._session,
            0x22: self._read_data,
            0x27: self._settled_first,
            0x31: self._routine,
            0x34: self._download,
            0x35: self._upload,
            0x36: self._data,
            0x37: self._exit,
        }

    def _session(self, request: bytes) -> Answer:
        core = self._core
        number = request[1] & 0x7F
        programming = session_control.session_numbers(core)[number] is Kind.PROGRAMMING
        if not programming or core.in_bootloader:
            self._loading = None
            if request[1] & 0x80 and core.in_bootloader:
                return b"\x50" + request[1:2] + core.timing_record()  # it is quiet already
            return session_control.session_control(core, bytes((0x10, number)))
        if request[1] & 0x80:
            self._quiet_s.append(core.now_s)
            return b"\x50" + request[1:2] + core.timing_record()
        recent = [at for at in self._quiet_s if core.now_s - at <= _QUIET_S]
        require(len(recent) >= _QUIET_TIMES, Nrc.CONDITIONS_NOT_CORRECT)
        require(not core.around.engine_running(), Nrc.ENGINE_RUNNING)
        core.require_voltage()
        return self._jump(number)

    async def _jump(self, number: int) -> bytes:
        answer = await session_control.jump_to_bootloader(self._core, number)
        primary = Vbf(self._core)
        primary.settled_s = self._core.now_s + _SETTLES_S
        self._core.make = primary
        return answer

    def _require_settled(self) -> None:
        require(self._core.now_s >= self.settled_s, Nrc.CONDITIONS_NOT_CORRECT)

    def _settled_first(self, request: bytes) -> Answer:
        self._require_settled()
        return security_access(self._core, request)

    def _read_data(self, request: bytes) -> Answer:
        if request == _RUNNING_DID:
            require(self._running, Nrc.REQUEST_OUT_OF_RANGE)
            return b"\x62" + request[1:] + MAGIC
        return data.read_data(self._core, request)

    def _routine(self, request: bytes) -> Answer:
        core = self._core
        if not core.in_bootloader:
            return routine.routine_control(core, request)
        self._require_settled()
        core.require_write_access()
        if request[:4] == _START:
            return self._start(request)
        require(self._running and request[:4] in (_ERASE, _JUDGE), Nrc.REQUEST_OUT_OF_RANGE)
        if request[:4] == _ERASE:
            require(len(request) == 12, Nrc.INCORRECT_LENGTH)
            start, size = int.from_bytes(request[4:8], "big"), int.from_bytes(request[8:], "big")
            return routine.erase_memory(core, request, start, size)
        require(len(request) == 4, Nrc.INCORRECT_LENGTH)
        return self._judge(request)

    def _start(self, request: bytes) -> Answer:
        require(len(request) == 8, Nrc.CONDITIONS_NOT_CORRECT)
        require(not self._running, Nrc.CONDITIONS_NOT_CORRECT)
        require(int.from_bytes(request[4:], "big") == RAM_START, Nrc.REQUEST_OUT_OF_RANGE)
        body, own = bytes(self._ram[:-2]), bytes(self._ram[-2:])
        right = body.startswith(MAGIC) and hash_of("crc16-ccitt-false", body) == own
        require(right and self._loading is None, Nrc.CONDITIONS_NOT_CORRECT)
        self._running = True
        return b"\x71" + request[1:4] + bytes((_GOOD,))

    async def _judge(self, request: bytes) -> bytes:
        covered = sum(region.size_bytes for region in self._core.definition.regions if region.writable)
        await routine.spend(self._core, covered)
        return b"\x71" + request[1:4] + bytes((_GOOD if self._core.judge_memory() else _BAD,))

    def _download(self, request: bytes) -> Answer:
        core = self._core
        self._require_settled()
        core.require_write_access()
        require(core.transfer is None, core.options.open_transfer_nrc)
        start, size = data.parse_span(request[2:], (4, 4))
        require(request[1] == 0x00, Nrc.REQUEST_OUT_OF_RANGE)
        self._received.clear()
        if RAM_START <= start < RAM_START + RAM_BYTES:
            if start == RAM_START:
                self._ram.clear()
            whole = start == RAM_START + len(self._ram) and start + size <= RAM_START + RAM_BYTES
            require(not self._running and whole, Nrc.REQUEST_OUT_OF_RANGE)
            self._loading = Transfer(True, start, size, _LIMIT_BYTES - 2)
        else:
            require(self._running and core.writable(start, size), Nrc.REQUEST_OUT_OF_RANGE)
            core.require_voltage()
            core.require_erased(start, size)
            core.require_turn(start, size)
            core.begin_download(start, size)
            core.transfer = Transfer(True, start, size, _LIMIT_BYTES - 2)
        return bytes((0x74, 0x20)) + _LIMIT_BYTES.to_bytes(2, "big")

    def _upload(self, request: bytes) -> Answer:
        require(self._running, Nrc.SERVICE_NOT_SUPPORTED)
        self._core.require_write_access()
        return transfer.request_upload(self._core, request)

    def _data(self, request: bytes) -> Answer:
        if self._loading is not None:
            return self._load(self._loading, request[1], request[2:])
        return self._counted(request)

    def _load(self, loading: Transfer, counter: int, part: bytes) -> bytes:
        require(0 < len(part) <= loading.max_data_bytes, Nrc.INCORRECT_LENGTH)
        if loading.is_repeat(counter):
            return loading.last_answer
        if len(part) > loading.size - loading.done:
            self._loading = None
            raise RefusedError(Nrc.TRANSFER_SUSPENDED)
        self._ram += part
        return loading.accept(counter, len(part), bytes((0x76, counter)))

    async def _counted(self, request: bytes) -> bytes:
        under_way = self._core.transfer
        before = under_way.done if under_way else 0
        outcome = transfer.transfer_data(self._core, request)
        answer = outcome if isinstance(outcome, bytes) else await outcome
        if under_way is not None and under_way.done > before:
            self._received += request[2:]
        return answer

    def _exit(self, request: bytes) -> Answer:
        loading, self._loading = self._loading, None
        if loading is not None:
            require(len(request) == 1, Nrc.INCORRECT_LENGTH)
            if not loading.complete:
                self._ram.clear()
                raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
            return b"\x77" + hash_of("crc16-ccitt-false", bytes(self._ram[loading.start - RAM_START :]))
        under_way = self._core.transfer
        answer = transfer.transfer_exit(self._core, request)
        if not isinstance(answer, bytes) or under_way is None or not under_way.download:
            return answer
        return answer + hash_of("crc16-ccitt-false", bytes(self._received))
