"""What the services of a simulated ECU work on: its memory, its records, its session and its supply."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from appliance.definitions.access.security import SecurityLevel
from appliance.definitions.access.uds import UdsAccessDefinition, uds_access
from appliance.definitions.schema import Definition
from simulator.ecu import spans
from simulator.ecu.memory import FlashMemory
from simulator.ecu.nrc import Nrc, RefusedError, require
from simulator.ecu.nvm import NonVolatile
from simulator.ecu.operation import Operation, Part
from simulator.ecu.options import EcuOptions, TransferEnd
from simulator.ecu.session import DiagnosticSession, Kind
from simulator.ecu.transfer import Transfer
from simulator.ecu.validity import memory_is_good
from simulator.ecu.watch import ByteWatch, Counter

SCRATCH_START = 0xD000_0000
SCRATCH_BYTES = 0x1000
"""RAM that the application lets a tester read and write (services 0x23 and 0x3D)."""


Answer = bytes | Coroutine[Any, Any, bytes]


class Program(StrEnum):
    """Which program the controller runs."""

    OFF = "off"
    BOOTING = "booting"
    APPLICATION = "application"
    BOOTLOADER = "bootloader"
    SILENT = "silent"
    """No valid application, and a bootloader that does not talk over this bus."""


@dataclass(slots=True)
class Surroundings:
    """What the car tells the ECU."""

    voltage_v: Callable[[], float] = lambda: 13.5
    engine_running: Callable[[], bool] = lambda: False
    on_load: Callable[[int], None] = lambda change: None
    """Called with +1 and -1 around an operation that draws current."""
    strapped: Callable[[], bool] = lambda: False
    """Whether its boot straps keep it in the boot loader; asked when it starts."""


class Make(Protocol):
    """A kind of ECU with services of its own; made anew whenever the ECU starts."""

    @property
    def services(self) -> Mapping[int, Callable[[bytes], Answer]]:
        """In place of the common ones: each takes the request as it came."""


class Core:
    """State of one ECU. Volatile parts are made anew at each power-up."""

    def __init__(
        self,
        definition: Definition,
        memory: FlashMemory,
        nvm: NonVolatile,
        options: EcuOptions,
        around: Surroundings,
        seed: int,
    ) -> None:
        self.definition = definition
        self.memory = memory
        self.nvm = nvm
        self.options = options
        self.around = around
        self.watch = ByteWatch()
        self.random = random.Random(f"{seed}/{definition.id}")
        self.program = Program.OFF
        self.flips: dict[int, int] = {}
        """Address to XOR mask of bytes that are read wrong once."""
        self.reset: Callable[[], None] = lambda: None
        self.follow_up: Callable[[], None] | None = None
        """Done after the answer to the present request went out."""
        self._loop = asyncio.get_running_loop()
        self._operation: Operation | None = None
        self.sessions_expired = 0
        """How often S3 ran out."""
        self._broken_off: int | None = None
        self.session = DiagnosticSession(self._session_expired)
        self.transfer: Transfer | None = None
        self.start_up(TransferEnd.POWER)

    def start_up(self, ended: TransferEnd) -> None:
        """Volatile state as after reset; a full attempt counter starts the security delay again."""
        self.interrupt()
        self.session.end()
        self.session = DiagnosticSession(self._session_expired)
        self.end_transfer(ended)
        self.scratch = bytearray(SCRATCH_BYTES)
        self.make: Make | None = None
        """Known once the first request came."""
        self.follow_up = None
        locked_out = self.nvm.records.failed_keys >= self.options.key_attempts
        self.locked_until_s = self._loop.time() + (self.options.lockout_s if locked_out else 0.0)

    def interrupt(self) -> None:
        """Cut a running erase or programming operation off where it stands."""
        if self._operation is not None:
            self._operation.interrupt()
            self._operation = None
            self.around.on_load(-1)

    async def operate(self, counter: Counter, start: int, length: int, seconds: float, part: Part) -> None:
        """Run an operation on the memory, drawing current meanwhile. Raises RefusedError if it breaks off."""
        operation = self._operation = Operation(self.watch, counter, start, length, seconds, part)
        self._broken_off = None
        self.around.on_load(+1)
        try:
            await operation.run()
            if self._broken_off is not None:
                raise RefusedError(self._broken_off)
        finally:
            if self._operation is operation:
                self._operation = None
                self.around.on_load(-1)

    def break_off(self, nrc: int) -> None:
        """End the operation under way where it is: its request is answered with `nrc`."""
        if self._operation is not None:
            self._broken_off = nrc
            self._operation.interrupt()

    @property
    def access(self) -> UdsAccessDefinition:
        """How it is talked to: the first access over UDS of its definition."""
        return uds_access(self.definition)

    @property
    def in_bootloader(self) -> bool:
        """True while the bootloader answers."""
        return self.program is Program.BOOTLOADER

    @property
    def now_s(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def enter_session(self, kind: Kind, number: int) -> None:
        """Change the session, which ends a transfer under way."""
        self.end_transfer(TransferEnd.SESSION)
        self.session.enter(kind, number)

    def end_transfer(self, ended: TransferEnd) -> None:
        """Forget the transfer under way, unless this ECU keeps it over such an end."""
        ends = {ended, TransferEnd.RESET} if ended is TransferEnd.POWER else {ended}
        if ends & self.options.transfer_ended_by:
            self.transfer = None

    def levels(self) -> dict[int, SecurityLevel]:
        """Unlock levels the running program offers, by odd sub-function."""
        sessions = self.access.sessions
        offered = [sessions.read_security] if sessions.read_security else []
        if self.in_bootloader:
            offered.append(sessions.write_security)
        return {level.level: level for level in offered}

    def require_voltage(self) -> None:
        """Refuse outside the definition's window (NRC 0x92, 0x93). Raises RefusedError."""
        window, present_v = self.access.voltage, self.around.voltage_v()
        require(present_v <= window.max_v, Nrc.VOLTAGE_TOO_HIGH)
        require(present_v >= window.min_v, Nrc.VOLTAGE_TOO_LOW)

    def require_write_access(self) -> None:
        """Refuse unless the write level is unlocked. Raises RefusedError 0x33."""
        level = self.access.sessions.write_security.level
        require(level in self.session.unlocked, Nrc.SECURITY_ACCESS_DENIED)

    def require_read_access(self) -> None:
        """Refuse unless the level for reading, or that for writing, is unlocked. Raises RefusedError 0x33."""
        sessions = self.access.sessions
        if sessions.read_security is not None:
            opening = {sessions.read_security.level, sessions.write_security.level}
            require(bool(opening & self.session.unlocked), Nrc.SECURITY_ACCESS_DENIED)

    def readable(self, start: int, size: int) -> bool:
        """True if the whole span is memory that may be read."""
        return self.memory.contains(start, size) and all(
            region.readable for region in self.memory.regions_in(start, size)
        )

    def writable(self, start: int, size: int) -> bool:
        """True if the whole span is flash that may be erased and programmed."""
        return self.memory.contains(start, size) and all(
            region.writable for region in self.memory.regions_in(start, size)
        )

    def read_flash(self, start: int, size: int) -> bytes:
        """Content as the ECU reports it: a byte that a fault flips is wrong this once."""
        data = self.memory.read(start, size)
        if self.watch.advance(Counter.READ, start, size) and self.flips:
            wrong = bytearray(data)
            for address, mask in self.flips.items():
                wrong[address - start] ^= mask
            self.flips.clear()
            return bytes(wrong)
        return data

    def begin_erase(self, start: int, size: int) -> None:
        """Note before the first cell changes that the application is no longer whole."""
        with self.nvm.update() as records:
            records.programming_attempts += records.application_valid
            records.application_valid = False
            records.unfinished = spans.add(records.unfinished, start, start + size)
            records.blank = spans.remove(records.blank, start, start + size)

    def note_erased(self, start: int, size: int) -> None:
        """The span may be downloaded to."""
        with self.nvm.update() as records:
            records.blank = spans.add(records.blank, start, start + size)

    def require_erased(self, start: int, size: int) -> None:
        """Refuse a download to cells never erased (0x24) or already begun (0x70). Raises RefusedError."""
        records, end = self.nvm.records, start + size
        if not spans.covers(records.blank, start, end):
            begun = spans.overlaps(records.unfinished, start, end)
            raise RefusedError(Nrc.UPLOAD_DOWNLOAD_NOT_ACCEPTED if begun else Nrc.REQUEST_SEQUENCE_ERROR)

    def require_dependencies(self, start: int, size: int) -> None:
        """Refuse a download (0x22) before all that its region depends on is whole. Raises RefusedError."""
        names = {name for region in self.memory.regions_in(start, size) for name in region.depends_on}
        for region in self.definition.regions:
            begun = spans.overlaps(self.nvm.records.unfinished, region.start, region.end)
            require(not (begun and region.name in names), Nrc.CONDITIONS_NOT_CORRECT)

    def begin_download(self, start: int, size: int) -> None:
        """The span is no longer blank."""
        with self.nvm.update() as records:
            records.blank = spans.remove(records.blank, start, start + size)

    def note_programmed(self, start: int, size: int) -> None:
        """The span is completely programmed."""
        with self.nvm.update() as records:
            records.unfinished = spans.remove(records.unfinished, start, start + size)

    def judge_memory(self) -> bool:
        """Set the validity flag from what the memory holds; True if the application may run."""
        check = self.options.image_check
        verdict = check(self.memory.whole()) if check else None
        good = memory_is_good(self.definition, self.memory, self.nvm.records, verdict)
        with self.nvm.update() as records:
            records.programming_successes += good and not records.application_valid
            records.application_valid = good
        return good

    def timing_record(self) -> bytes:
        """P2 in ms and P2* in 10 ms, as DiagnosticSessionControl reports them."""
        timing = self.access.timing
        return struct.pack(">HH", timing.p2_ms, timing.p2_star_ms // 10)

    def _session_expired(self) -> None:
        """S3: the application falls back to its default session, a bootloader session ends in a reset."""
        self.sessions_expired += 1
        self.end_transfer(TransferEnd.SESSION)
        self.session.leave()
        if self.in_bootloader:
            self.reset()


Handler = Callable[[Core, bytes], Answer]
