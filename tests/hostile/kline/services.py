"""The services of an ECU that does as the standard says (ISO 14230-3), on its own flash."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.hostile.flash import Flash
from tests.hostile.kline.shapes import RECORDS, STATUS, TOOL, WRITE_PIECE, LineShape
from tests.hostile.kline.spite import Traits
from tests.hostile.parts import SECRET

APPLICATION, BOOTLOADER = "application", "bootloader"
STANDARD, PROGRAMMING = 0x81, 0x85
NOT_SUPPORTED, NO_SUCH_OPTION, WRONG_FORMAT = 0x11, 0x12, 0x13
BUSY, CONDITIONS, NOT_COMPLETE, OUT_OF_RANGE, DENIED = 0x21, 0x22, 0x23, 0x31, 0x33
WRONG_KEY, TOO_MANY, TOO_SOON = 0x35, 0x36, 0x37
NO_DOWNLOAD, NOT_THERE, NOT_SO_MANY, NOT_IN_SESSION = 0x40, 0x42, 0x43, 0x80
_ERASE, _CHECK = 0xC4, 0xC5
_LOCKOUT_S = 10.0
_MOST_WRONG_KEYS = 3
_PROGRAM_S = 0.002
_LIMITS = bytes((0x02, 0x02, 0x04, 0x14, 0x02))
"""P2 1 to 50 ms, P3 2 ms to 5 s, P4 1 ms."""


class RefusedError(Exception):
    """A negative response code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code:02X}")
        self.code = code


@dataclass(slots=True)
class Transfer:
    """A download or upload under way."""

    start: int
    size: int
    upload: bool
    done: int = 0


@dataclass(slots=True)
class Routine:
    """What 33 is answered from."""

    number: int
    until_s: float
    result: int


@dataclass(slots=True)
class Server:
    """State and services. `share` is how much of the next erase or piece is done, 1 for all."""

    shape: LineShape
    flash: Flash
    traits: Traits
    dice: random.Random
    now: Callable[[], float]
    program: str = APPLICATION
    session: int = STANDARD
    unlocked: bool = False
    seed: bytes | None = None
    wrong_keys: int = 0
    locked_until_s: float = 0.0
    transfer: Transfer | None = None
    routine: Routine | None = None
    share: float = 1.0
    work_s: float = 0.0
    new_rate: int | None = None
    """Asked for by the request that is being served."""
    new_times: bytes | None = None
    """Set by the request that is being served; the defaults where it is empty."""
    ends: bool = False
    """Whether the channel ends with the answer."""

    @property
    def valid(self) -> bool:
        """Whether the application may be started: every sector that was erased was programmed to its end."""
        return not self.flash.incomplete

    @property
    def busy(self) -> bool:
        """Whether a routine runs."""
        return self.routine is not None and self.now() < self.routine.until_s

    def fall_asleep(self, keeps_program: bool = False) -> None:
        """The channel ended. What runs goes on."""
        self.unlocked, self.seed, self.new_rate, self.new_times = False, None, None, None
        if keeps_program:
            return
        self.session = STANDARD
        self.program = APPLICATION if self.valid else BOOTLOADER
        if not self.traits.keeps_transfer:
            self.transfer = None

    def restart(self) -> None:
        """The supply was gone."""
        self.transfer = self.routine = None
        self.fall_asleep()

    def serve(self, request: bytes) -> bytes:
        """The positive answer. Raises RefusedError."""
        self.work_s, self.new_rate, self.new_times, self.ends = 0.0, None, None, False
        service = _SERVICES.get(request[0])
        if service is None:
            raise RefusedError(NOT_SUPPORTED)
        if self.busy and request[0] not in (0x33, 0x3E, 0x81, 0x82):
            raise RefusedError(BUSY)
        try:
            return service(self, request)
        except IndexError as error:
            raise RefusedError(WRONG_FORMAT) from error

    def started(self, request: bytes) -> bytes:
        """It is awake already."""
        return bytes((request[0] + 0x40, *self.shape.keys))

    def start_session(self, request: bytes) -> bytes:
        session, rate = request[1], None
        if session not in (STANDARD, PROGRAMMING, 0x86, 0x89) or len(request) > 3:
            raise RefusedError(NO_SUCH_OPTION)
        if len(request) == 3:
            code = request[2]
            rate = (1 << (code >> 5)) * ((code & 0x1F) + 32) * 200
            if not any(abs(rate - one) <= 0.03 * one for one in self.shape.rates):
                raise RefusedError(NO_SUCH_OPTION)
        self.session, self.unlocked, self.seed = session, False, None
        self.new_rate, self.new_times = rate, b""
        if not self.traits.keeps_transfer:
            self.transfer = None
        if session != PROGRAMMING:
            self.program = APPLICATION if self.valid else BOOTLOADER
            return bytes((0x50, session))
        drops = self.traits.drops_at_10 and rate is None and self.program == APPLICATION
        self.program = BOOTLOADER
        self.ends = drops
        return bytes((0x50, session)) + (b"\x01" if drops else b"")

    def identification(self, request: bytes) -> bytes:
        option = request[1]
        if option == STATUS and self.shape.status:
            return bytes((0x5A, STATUS, 0x00 if self.valid else 0x02, 9, 8, 0x00))
        told = RECORDS.get(option)
        in_boot = self.program == BOOTLOADER
        hidden = in_boot and (option == 0x94 or option not in self._told_in_boot())
        if told is None or hidden or len(request) != 2:
            raise RefusedError(NO_SUCH_OPTION)
        return request[:0] + bytes((0x5A, option)) + told.encode("ascii")

    def _told_in_boot(self) -> tuple[int, ...]:
        return {"all": (0x92, 0x9B, 0x8C), "hw": (0x92,), "none": ()}[self.traits.boot_tells]

    def security(self, request: bytes) -> bytes:
        if self.now() < self.locked_until_s:
            raise RefusedError(TOO_SOON)
        if request[1] == 0x01:
            self.seed = bytes(4) if self.unlocked else self.dice.randbytes(3) + b"\x01"
            return b"\x67\x01" + self.seed
        if request[1] != 0x02 or self.seed is None:
            raise RefusedError(NO_SUCH_OPTION if request[1] != 0x02 else CONDITIONS)
        right = (int.from_bytes(self.seed) ^ SECRET).to_bytes(4)
        self.seed = None
        if request[2:] != right:
            self.wrong_keys += 1
            if self.wrong_keys >= _MOST_WRONG_KEYS:
                self.wrong_keys, self.locked_until_s = 0, self.now() + _LOCKOUT_S
                raise RefusedError(TOO_MANY)
            raise RefusedError(WRONG_KEY)
        self.unlocked, self.wrong_keys = True, 0
        return b"\x67\x02\x34"

    def read_memory(self, request: bytes) -> bytes:
        self._require_readable()
        if len(request) != 5:
            raise RefusedError(WRONG_FORMAT)
        start, size = int.from_bytes(request[1:4]), request[4]
        data = self.flash.read(start, size) if size <= self.shape.read_piece else None
        if data is None or self.shape.upload:
            raise RefusedError(OUT_OF_RANGE)
        return b"\x63" + data

    def start_routine(self, request: bytes) -> bytes:
        self._require_programming()
        number, start, last = request[1], int.from_bytes(request[2:5]), int.from_bytes(request[5:8])
        size = last + 1 - start
        if number == _ERASE:
            if request[8:] != TOOL:
                raise RefusedError(WRONG_FORMAT)
            if not self.flash.sectors(start, size):
                raise RefusedError(OUT_OF_RANGE)
            if self.share or not self.dice.randrange(2):
                self.flash.erase(start, size, self.share)
            self.routine = Routine(number, self.now() + self.traits.erase_s, 0)
            self.ends = self.traits.drops != "no"
            return bytes((0x71, number)) + (b"\x01" if self.traits.drops == "told" else b"")
        if number != _CHECK or self.shape.check == "none":
            raise RefusedError(NO_SUCH_OPTION)
        self.routine = Routine(number, self.now() + 0.05, self._checked(start, size, request[8:]))
        return bytes((0x71, number))

    def _checked(self, start: int, size: int, told: bytes) -> int:
        data = self.flash.read(start, size)
        if data is None or len(told) != 2:
            raise RefusedError(OUT_OF_RANGE)
        value = zlib.crc32(data) if self.shape.check == "crc32-low16" else sum(data)
        if value & 0xFFFF != int.from_bytes(told):
            return 1
        self.flash.finish(start, size)
        return 0

    def routine_result(self, request: bytes) -> bytes:
        routine = self.routine
        if routine is None or routine.number != request[1]:
            raise RefusedError(CONDITIONS)
        if self.busy:
            raise RefusedError(NOT_COMPLETE)
        return bytes((0x73, routine.number, routine.result))

    def download(self, request: bytes) -> bytes:
        self._require_programming()
        if len(request) != 8:
            raise RefusedError(WRONG_FORMAT)
        start, size = int.from_bytes(request[1:4]), int.from_bytes(request[5:8])
        if request[4] != 0x00:
            raise RefusedError(0x41)
        if self.transfer is not None:
            raise RefusedError(NOT_COMPLETE if self.shape.ends_pending else NO_DOWNLOAD)
        if not self.flash.sectors(start, size):
            raise RefusedError(NOT_THERE)
        if self.traits.checks_blank and set(self.flash.read(start, size) or b"") != {0xFF}:
            raise RefusedError(NO_DOWNLOAD)
        self.transfer = Transfer(start, size, upload=False)
        return bytes((0x74, WRITE_PIECE))

    def upload(self, request: bytes) -> bytes:
        self._require_readable()
        if len(request) != 8 or not self.shape.upload:
            raise RefusedError(0x50)
        start, size = int.from_bytes(request[1:4]), int.from_bytes(request[5:8])
        if self.flash.read(start, size) is None:
            raise RefusedError(0x52)
        if self.transfer is not None:
            raise RefusedError(NOT_COMPLETE if self.shape.ends_pending else 0x50)
        self.transfer = Transfer(start, size, upload=True)
        return bytes((0x75, self.shape.read_piece))

    def transfer_data(self, request: bytes) -> bytes:
        transfer = self.transfer
        if transfer is None:
            raise RefusedError(CONDITIONS)
        left = transfer.size - transfer.done
        if transfer.upload:
            step = min(left, self.shape.read_piece - 1)
            if not step or len(request) != 1:
                raise RefusedError(0x71)
            data = self.flash.read(transfer.start + transfer.done, step) or b""
            transfer.done += step
            return b"\x76" + data
        step = len(request) - 1
        if not 0 < step <= min(left, WRITE_PIECE - 1):
            raise RefusedError(0x75)
        stored = request[1 : 1 + int(step * self.share)]
        if stored:
            self.flash.program(transfer.start + transfer.done, stored)
        self.work_s = _PROGRAM_S
        transfer.done += step
        return b"\x76"

    def transfer_exit(self, request: bytes) -> bytes:
        transfer = self.transfer
        if transfer is None:
            raise RefusedError(CONDITIONS)
        whole = transfer.done == transfer.size
        if not transfer.upload and not whole:
            raise RefusedError(0x71)
        self.transfer = None
        if not transfer.upload and self.shape.check == "none":
            self.flash.finish(transfer.start, transfer.size)
        return bytes((request[0] + 0x40,))

    def present(self, request: bytes) -> bytes:
        return bytes((request[0] + 0x40,))

    def stop(self, request: bytes) -> bytes:
        self.ends = True
        return bytes((request[0] + 0x40,))

    def timing(self, request: bytes) -> bytes:
        if not self.shape.to_limits:
            raise RefusedError(NOT_SUPPORTED)
        if request[1] == 0x00:
            return b"\x83"[:0] + b"\xc3\x00" + _LIMITS
        if request[1] != 0x03 or len(request) != 7:
            raise RefusedError(NO_SUCH_OPTION)
        self.new_times = request[2:]
        return b"\xc3\x03"

    def fault_codes(self, request: bytes) -> bytes:
        if self.program == BOOTLOADER:
            raise RefusedError(NOT_SUPPORTED)
        return b"\x58\x00" if request[0] == 0x18 else b"\x54" + request[1:3]

    def _require_readable(self) -> None:
        wanted = {PROGRAMMING, self.shape.read_session or self.session}
        if self.session not in wanted:
            raise RefusedError(NOT_IN_SESSION)
        if not self.unlocked and (self.shape.read_session is not None or self.session == PROGRAMMING):
            raise RefusedError(DENIED)

    def _require_programming(self) -> None:
        if self.session != PROGRAMMING:
            raise RefusedError(NOT_IN_SESSION)
        if not self.unlocked:
            raise RefusedError(DENIED)


_SERVICES: dict[int, Callable[[Server, bytes], bytes]] = {
    0x10: Server.start_session,
    0x14: Server.fault_codes,
    0x18: Server.fault_codes,
    0x1A: Server.identification,
    0x23: Server.read_memory,
    0x27: Server.security,
    0x31: Server.start_routine,
    0x33: Server.routine_result,
    0x34: Server.download,
    0x35: Server.upload,
    0x36: Server.transfer_data,
    0x37: Server.transfer_exit,
    0x3E: Server.present,
    0x81: Server.started,
    0x82: Server.stop,
    0x83: Server.timing,
}
