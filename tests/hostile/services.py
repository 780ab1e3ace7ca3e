"""The services of an ECU that does as the standard says (ISO 14229-1), on its own flash."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.hostile.flash import Flash
from tests.hostile.parts import SECRET, Part
from tests.hostile.shapes import DIDS, READ_PIECE, WRITE_PIECE, CanShape
from tests.hostile.spite import Traits

APPLICATION, BOOTLOADER = "application", "bootloader"
DEFAULT, PROGRAMMING, EXTENDED = 0x01, 0x02, 0x03
_ERASE, _CHECK, _DEPENDENCIES = 0xFF00, 0x0202, 0xFF01
_LOCKOUT_S = 10.0
_MOST_WRONG_KEYS = 3
_S3_S = 5.0
_PROGRAM_S = 0.002


class RefusedError(Exception):
    """A negative response code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code:02X}")
        self.code = code


@dataclass(slots=True)
class Transfer:
    """A download or upload under way."""

    start: int
    left: int
    size: int
    upload: bool
    counter: int = 0
    last: bytes = b""


@dataclass(slots=True)
class Server:
    """State and services. `share` is how much of the next erase or download step is done, 1 for all."""

    shape: CanShape
    flash: Flash
    traits: Traits
    dice: random.Random
    now: Callable[[], float]
    valid: bool = True
    program: str = APPLICATION
    session: int = DEFAULT
    unlocked: bool = False
    seed: bytes | None = None
    wrong_keys: int = 0
    locked_until_s: float = 0.0
    transfer: Transfer | None = None
    share: float = 1.0
    work_s: float = 0.0
    heard_s: float = 0.0
    wants_reset: bool = field(default=False)

    def restart(self) -> None:
        """What a reset leaves: the application if it is whole, else the bootloader."""
        self.program = APPLICATION if self.valid else BOOTLOADER
        self.session, self.unlocked, self.seed, self.transfer = DEFAULT, False, None, None

    def drop_session(self) -> None:
        """S3 ran out."""
        self.session, self.unlocked, self.seed = DEFAULT, False, None
        self.program = APPLICATION if self.valid else BOOTLOADER
        if not self.traits.keeps_transfer:
            self.transfer = None

    def serve(self, request: bytes) -> bytes:
        """The positive answer. Raises RefusedError."""
        if self.session != DEFAULT and self.now() - self.heard_s > _S3_S:
            self.drop_session()
        if not self.traits.s3_by_3e_only or request[0] in (0x10, 0x3E):
            self.heard_s = self.now()
        self.work_s, self.wants_reset = 0.0, False
        service = _SERVICES.get(request[0])
        if service is None:
            raise RefusedError(0x11)
        try:
            return service(self, request)
        except IndexError as error:
            raise RefusedError(0x13) from error

    def session_control(self, request: bytes) -> bytes:
        wanted = request[1]
        if wanted not in (DEFAULT, PROGRAMMING, EXTENDED):
            raise RefusedError(0x12)
        in_programming = self.program == BOOTLOADER or self.session == PROGRAMMING
        if wanted == EXTENDED and in_programming and not self.traits.boot_extended:
            raise RefusedError(0x7E)
        if not self.traits.keeps_transfer:
            self.transfer = None
        self.session, self.unlocked, self.seed = wanted, False, None
        if wanted == PROGRAMMING:
            self.program = BOOTLOADER
        elif self.valid:
            self.program = APPLICATION
        return bytes((0x50, wanted)) + bytes.fromhex("003201F4")

    def reset(self, request: bytes) -> bytes:
        self.wants_reset = True
        return bytes((0x51, request[1]))

    def read_data(self, request: bytes) -> bytes:
        did = int.from_bytes(request[1:3])
        if did == 0xF186:
            return b"\x62\xf1\x86" + bytes((self.session,))
        told = DIDS.get(did)
        in_boot = self.program == BOOTLOADER
        if told is None or (in_boot and not self._boot_tells(did)):
            raise RefusedError(0x31)
        return b"\x62" + request[1:3] + told.encode("ascii")

    def _boot_tells(self, did: int) -> bool:
        known = {"all": (0xF191, 0xF180, 0xF18C), "boot": (0xF180,), "none": ()}[self.traits.boot_tells]
        return did in known

    def security(self, request: bytes) -> bytes:
        if self.session == DEFAULT:
            raise RefusedError(0x7F)
        if self.now() < self.locked_until_s:
            raise RefusedError(0x37)
        if request[1] == 0x01:
            self.seed = bytes(4) if self.unlocked else self.dice.randbytes(3) + b"\x01"
            return b"\x67\x01" + self.seed
        if request[1] != 0x02 or self.seed is None:
            raise RefusedError(0x24 if request[1] == 0x02 else 0x12)
        right = (int.from_bytes(self.seed) ^ SECRET).to_bytes(4)
        self.seed = None
        if request[2:] != right:
            self.wrong_keys += 1
            if self.wrong_keys >= _MOST_WRONG_KEYS:
                self.wrong_keys, self.locked_until_s = 0, self.now() + _LOCKOUT_S
                raise RefusedError(0x36)
            raise RefusedError(0x35)
        self.unlocked, self.wrong_keys = True, 0
        return b"\x67\x02"

    def read_memory(self, request: bytes) -> bytes:
        if self.session == DEFAULT:
            raise RefusedError(0x7F)
        if self.program == BOOTLOADER and self.shape.proof != "read_back":
            raise RefusedError(0x11)
        start, size = _span(request[1:])
        data = self.flash.read(start, size) if size <= READ_PIECE else None
        if data is None:
            raise RefusedError(0x31)
        return b"\x63" + data

    def routine(self, request: bytes) -> bytes:
        if request[1] != 0x01:
            raise RefusedError(0x12)
        number, options = int.from_bytes(request[2:4]), request[4:]
        self._require_programming()
        work = {_ERASE: self._erase, _CHECK: self._check, _DEPENDENCIES: self._dependencies}.get(number)
        if work is None:
            raise RefusedError(0x31)
        return b"\x71" + request[1:4] + work(options)

    def _erase(self, options: bytes) -> bytes:
        start, size = self._named(options)
        if not self.flash.sectors(start, size):
            raise RefusedError(0x31)
        self.work_s = self.traits.erase_s
        self.valid = False
        self.flash.erase(start, size, self.share)
        return b"\x00"

    def _check(self, options: bytes) -> bytes:
        if self.shape.proof == "hash_range":
            data = self.flash.read(*_span(options))
            if data is None:
                raise RefusedError(0x31)
            return zlib.crc32(data).to_bytes(4)
        if self.shape.proof == "compare_block":
            part = self._by_id(options)
            data = self.flash.read(part.start, part.size) or b""
            if options[2:4] != b"\x00\x04" or len(options) != 8:
                raise RefusedError(0x13)
            return b"\x00" if zlib.crc32(data).to_bytes(4) == options[4:] else b"\x01"
        raise RefusedError(0x31)

    def _dependencies(self, options: bytes) -> bytes:
        if options:
            raise RefusedError(0x13)
        self.valid = not self.flash.incomplete
        return b"\x00" if self.valid else b"\x01"

    def download(self, request: bytes) -> bytes:
        self._require_programming()
        if request[1] != 0x00:
            raise RefusedError(0x31)
        if self.shape.by == "block_id":
            part = self.flash.part_of_id(request[3])
            size = int.from_bytes(request[4:])
            if request[2] != 0x41 or part is None or size != part.size:
                raise RefusedError(0x31)
            start = part.start
        else:
            start, size = _span(request[2:])
        if not self.flash.sectors(start, size):
            raise RefusedError(0x31)
        if self.transfer is not None:
            raise RefusedError(0x22)
        if self.traits.checks_blank and set(self.flash.read(start, size) or b"") != {0xFF}:
            raise RefusedError(0x70)
        self.transfer = Transfer(start, size, size, upload=False)
        return b"\x74\x20" + WRITE_PIECE.to_bytes(2)

    def upload(self, request: bytes) -> bytes:
        if self.session == DEFAULT:
            raise RefusedError(0x7F)
        if self.program == BOOTLOADER:
            raise RefusedError(0x11)
        start, size = _span(request[2:])
        if request[1] != 0x00 or self.flash.read(start, size) is None:
            raise RefusedError(0x31)
        if self.transfer is not None:
            raise RefusedError(0x22)
        self.transfer = Transfer(start, size, size, upload=True)
        return b"\x75\x20" + READ_PIECE.to_bytes(2)

    def transfer_data(self, request: bytes) -> bytes:
        transfer, counter = self.transfer, request[1]
        if transfer is None:
            raise RefusedError(0x24)
        if transfer.counter and counter == transfer.counter & 0xFF:
            return b"\x76" + request[1:2] + transfer.last
        if counter != (transfer.counter + 1) & 0xFF:
            raise RefusedError(0x73)
        if not transfer.left:
            raise RefusedError(0x24)
        at = transfer.start + transfer.size - transfer.left
        if transfer.upload:
            step = min(transfer.left, READ_PIECE - 2)
            transfer.last = self.flash.read(at, step) or b""
        else:
            step = len(request) - 2
            if not 0 < step <= min(transfer.left, WRITE_PIECE - 2):
                raise RefusedError(0x31)
            stored = request[2 : 2 + int(step * self.share)]
            if stored:
                self.flash.program(at, stored)
            self.work_s = _PROGRAM_S
        transfer.counter += 1
        transfer.left -= step
        return b"\x76" + request[1:2] + transfer.last

    def transfer_exit(self, request: bytes) -> bytes:
        transfer = self.transfer
        if transfer is None or (transfer.left and self.traits.exit_only_when_whole):
            raise RefusedError(0x24)
        self.transfer = None
        if not transfer.upload and not transfer.left:
            self.flash.finish(transfer.start, transfer.size)
        return b"\x77"

    def echo(self, request: bytes) -> bytes:
        """28, 85 and 3E: carried out, and their sub-function told again."""
        if request[0] != 0x3E and self.program == BOOTLOADER:
            raise RefusedError(0x11)
        return bytes((request[0] + 0x40, request[1] & 0x7F))

    def write_data(self, request: bytes) -> bytes:
        return b"\x6e" + request[1:3]

    def fault_codes(self, request: bytes) -> bytes:
        if self.program == BOOTLOADER:
            raise RefusedError(0x11)
        if request[0] == 0x19:
            return bytes((0x59, request[1], 0xFF))
        return {0x14: b"\x54", 0x04: b"\x44"}.get(request[0], bytes((request[0] + 0x40, 0)))

    def live_data(self, request: bytes) -> bytes:
        if self.program == BOOTLOADER or request[1] != 0x0C:
            raise RefusedError(0x12)
        return b"\x41\x0c\x00\x00"

    def _require_programming(self) -> None:
        if self.session != PROGRAMMING:
            raise RefusedError(0x7F)
        if not self.unlocked:
            raise RefusedError(0x33)

    def _named(self, options: bytes) -> tuple[int, int]:
        if self.shape.by == "address":
            return _span(options)
        part = self._by_id(options)
        return part.start, part.size

    def _by_id(self, options: bytes) -> Part:
        part = self.flash.part_of_id(options[1]) if options[0] == 0x01 else None
        if part is None:
            raise RefusedError(0x31)
        return part


def _span(field_bytes: bytes) -> tuple[int, int]:
    """Address and size behind their format byte."""
    size_bytes, address_bytes = field_bytes[0] >> 4, field_bytes[0] & 0x0F
    rest = field_bytes[1:]
    if len(rest) != size_bytes + address_bytes:
        raise RefusedError(0x13)
    return int.from_bytes(rest[:address_bytes]), int.from_bytes(rest[address_bytes:])


_SERVICES: dict[int, Callable[[Server, bytes], bytes]] = {
    0x01: Server.live_data,
    0x03: Server.fault_codes,
    0x04: Server.fault_codes,
    0x07: Server.fault_codes,
    0x0A: Server.fault_codes,
    0x10: Server.session_control,
    0x11: Server.reset,
    0x14: Server.fault_codes,
    0x19: Server.fault_codes,
    0x22: Server.read_data,
    0x23: Server.read_memory,
    0x27: Server.security,
    0x28: Server.echo,
    0x2E: Server.write_data,
    0x31: Server.routine,
    0x34: Server.download,
    0x35: Server.upload,
    0x36: Server.transfer_data,
    0x37: Server.transfer_exit,
    0x3E: Server.echo,
    0x85: Server.echo,
}
