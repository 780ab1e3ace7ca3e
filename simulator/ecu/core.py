"""What the services of a simulated ECU work on: its memory, its records, its session and its supply."""

from __future__ import annotations

import struct
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from appliance.definitions.access.base import Recovery
from appliance.definitions.access.security import SecurityLevel
from appliance.definitions.access.uds import UdsAccessDefinition, uds_access
from appliance.definitions.schema import Definition
from simulator.ecu import spans
from simulator.ecu.chip import Chip, Surroundings
from simulator.ecu.keys import told_level
from simulator.ecu.memory import FlashMemory
from simulator.ecu.nrc import Nrc, RefusedError, require
from simulator.ecu.nvm import NonVolatile
from simulator.ecu.options import EcuOptions, TransferEnd
from simulator.ecu.session import DiagnosticSession, Kind
from simulator.ecu.transfer import Transfer

SCRATCH_START = 0xD000_0000
SCRATCH_BYTES = 0x1000
"""RAM that the application lets a tester read and write (services 0x23 and 0x3D)."""


Answer = bytes | Coroutine[Any, Any, bytes]


class Make(Protocol):
    """A kind of ECU with services of its own; made anew whenever the ECU starts."""

    @property
    def services(self) -> Mapping[int, Callable[[bytes], Answer]]:
        """In place of the common ones: each takes the request as it came."""


class Core(Chip):
    """State of one ECU over UDS. Volatile parts are made anew at each power-up."""

    def __init__(
        self,
        definition: Definition,
        memory: FlashMemory,
        nvm: NonVolatile,
        options: EcuOptions,
        around: Surroundings,
        seed: int,
    ) -> None:
        super().__init__(definition, memory, nvm, options, around, seed)
        self.reset: Callable[[], None] = lambda: None
        self.set_rate: Callable[[int | None], None] = lambda rate: None
        """Takes its end of the wire to another bit rate, or back to the first with None."""
        self.follow_up: Callable[[], None] | None = None
        """Done after the answer to the present request went out."""
        self.sessions_expired = 0
        """How often S3 ran out."""
        self.session = DiagnosticSession(self._session_expired)
        self.transfer: Transfer | None = None
        self.start_up(TransferEnd.POWER)

    def start_up(self, ended: TransferEnd) -> None:
        """Volatile state as after reset; a full attempt counter starts the security delay again."""
        self.interrupt()
        self.set_rate(None)
        self.session.end()
        self.session = DiagnosticSession(self._session_expired)
        self.end_transfer(ended)
        self.scratch = bytearray(SCRATCH_BYTES)
        self.make: Make | None = None
        """Known once the first request came."""
        self.on_present: Callable[[], None] = lambda: None
        """Called for a tester present that went to everybody."""
        self.follow_up = None
        locked_out = self.nvm.records.failed_keys >= self.options.key_attempts
        self.locked_until_s = self._loop.time() + (self.options.lockout_s if locked_out else 0.0)

    @property
    def access(self) -> UdsAccessDefinition:
        """How it is talked to: the first access over UDS of its definition."""
        return uds_access(self.definition)

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
        return {level.level: told_level(level, self.definition.twin.secrets) for level in offered}

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

    @property
    def recovery(self) -> Recovery:
        """That of the access it is talked to by."""
        return self.access.recovery

    @property
    def fresh(self) -> spans.Spans:
        """Kept by the session, and forgotten with it."""
        return self.session.fresh

    @fresh.setter
    def fresh(self, found: spans.Spans) -> None:
        self.session.fresh = found

    def require_erased(self, start: int, size: int) -> None:
        """Refuse a download to cells never erased (0x24) or already begun (0x70). Raises RefusedError."""
        records, end = self.nvm.records, start + size
        if not spans.covers(records.blank, start, end):
            begun = spans.overlaps(records.unfinished, start, end)
            raise RefusedError(Nrc.UPLOAD_DOWNLOAD_NOT_ACCEPTED if begun else Nrc.REQUEST_SEQUENCE_ERROR)

    def require_turn(self, start: int, size: int) -> None:
        """Refuse a download (0x22) that is not due yet. Raises RefusedError."""
        require(self.in_turn(start, size), Nrc.CONDITIONS_NOT_CORRECT)

    def timing_record(self) -> bytes:
        """P2 in ms and P2* in 10 ms, as DiagnosticSessionControl reports them."""
        timing = self.access.timing
        return struct.pack(">HH", timing.p2_ms, timing.p2_star_ms // 10)

    def _session_expired(self) -> None:
        """S3: the application falls back to its default session, a bootloader session ends in a reset."""
        self.sessions_expired += 1
        self.end_transfer(TransferEnd.SESSION)
        self.session.leave()
        self.set_rate(None)
        if self.in_bootloader:
            self.reset()


Handler = Callable[[Core, bytes], Answer]
