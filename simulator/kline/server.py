"""Sessions, security and services of a simulated KWP2000 ECU (ISO 14230-3), over its memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from simulator.ecu.chip import Chip, Program
from simulator.ecu.services.dtc import dtc_bytes
from simulator.kline.ecu import KwpEcu
from simulator.kline.finishing import Finishing
from simulator.kline.refusing import RefusedError, refusal, require
from simulator.kline.reply import Reply
from simulator.kline.routines import Routines
from simulator.kline.settings import LineTimes
from simulator.kline.transfer import Transfer

STANDARD, PROGRAMMING = 0x81, 0x85
_SESSIONS = frozenset((STANDARD, PROGRAMMING, 0x86, 0x89))
_GRANTED = 0x34
_TRIES = 3
_UNITS_S = (0.0005, 0.025, 0.0005, 0.25, 0.0005)


@dataclass(slots=True)
class Told:
    """What the ECU says of itself: records by the option of 1A."""

    records: dict[int, bytes] = field(default_factory=dict)
    of_application: frozenset[int] = frozenset()
    """Options that a boot loader does not answer."""
    preconditions: int = 0
    """Why it is not to be programmed now, as its status tells it."""


class KwpServer:
    """One tester at a time."""

    def __init__(self, ecu: KwpEcu, core: Chip, told: Told) -> None:
        self.ecu, self.core, self.told = ecu, core, told
        self.settings = ecu.settings
        self.session = STANDARD
        self.unlocked: int | None = None
        self.rates_refused = 0
        """So many changes of the bit rate are refused, whatever is asked for."""
        self.transfer = Transfer(self)
        self.routines = Routines(self)
        self.finishing = Finishing(self.settings.last_sector, core.nvm)
        self._timing = self._defaults = _record_of(ecu.settings.times)
        self._seed: tuple[int, bytes] | None = None
        self._wrong_keys = 0
        self._locked_until_s = 0.0
        self._random = random.Random(1)
        self._services: Mapping[int, tuple[int, Callable[[bytes], Reply]]] = {
            0x10: (2, self._change_session),
            0x11: (2, self._reset),
            0x14: (3, self._clear_faults),
            0x18: (4, self._list_faults),
            0x1A: (2, self._identify),
            0x20: (1, self._stop_session),
            0x23: (5, self._read),
            0x27: (2, self._security),
            0x31: (2, self.routines.start),
            0x32: (2, self.routines.stop),
            0x33: (2, self.routines.result),
            0x34: (8, self.transfer.begin),
            0x35: (8, self.transfer.begin_upload),
            0x36: (1, self.transfer.take),
            0x37: (1, self.transfer.end),
            0x3E: (1, self._present),
            0x82: (1, self._stop_communication),
            0x83: (2, self._timing_parameters),
        }
        ecu.server = self

    def answer(self, payload: bytes) -> Reply:
        """To one request: 7F and why, where it is refused."""
        least, serve = self._services.get(payload[0], (0, None))
        try:
            if serve is None:
                raise RefusedError(0x11)
            require(len(payload) >= least, 0x12)
            return serve(payload)
        except RefusedError as refused:
            return Reply(refusal(payload[0], refused.code), pending_s=refused.after_s)

    def line_lost(self) -> None:
        """The session is over, and the application runs again where the memory is whole."""
        self._enter(STANDARD)
        self.transfer.forget()
        self.finishing.line_lost()
        if self.core.in_bootloader and not self.routines.is_busy and self.core.judge_memory():
            self.core.program = Program.APPLICATION

    def power_lost(self) -> None:
        """An erase under way stays half done."""
        self.core.interrupt()
        self.routines.power_lost()

    def programmed(self, sector: int) -> None:
        """A sector holds all of its bytes."""
        self.finishing.programmed(sector)

    def require_programming(self) -> None:
        """Raises RefusedError."""
        require(self.session == PROGRAMMING, 0x80)
        require(self.unlocked is not None, 0x33)
        window, present_v = self.core.definition.best_access.voltage, self.core.around.voltage_v()
        require(window.min_v <= present_v <= window.max_v, 0x22)

    def _enter(self, session: int) -> None:
        self.session = session
        self.unlocked = self._seed = None
        self.core.fresh = []
        self._set_times(self._defaults)

    def _set_times(self, record: bytes) -> None:
        p2_min, _, p3_min, p3_max, p4_min = (
            value * unit for value, unit in zip(record, _UNITS_S, strict=True)
        )
        self._timing = record
        self.ecu.times = replace(
            self.ecu.times,
            p2_s=p2_min,
            p3_min_s=p3_min,
            p3_max_s=1e9 if record[3] == 0xFF else p3_max,
            p4_min_s=p4_min,
        )

    def _change_session(self, request: bytes) -> Reply:
        session = request[1]
        require(session in _SESSIONS, 0x12)
        rate = None
        if len(request) > 2:
            rate = None if self.rates_refused else self.settings.rates.get(request[2])
            self.rates_refused = max(0, self.rates_refused - 1)
            require(rate is not None, 0x12)

        def after() -> None:
            self._enter(session)
            if rate is not None:
                self.ecu.set_rate(rate)

        return Reply(b"\x50" + request[1:2], after)

    def _stop_session(self, request: bytes) -> Reply:
        return Reply(b"\x60", lambda: self._enter(STANDARD))

    def _stop_communication(self, request: bytes) -> Reply:
        self.finishing.goodbye()
        return Reply(b"\xc2", self.ecu.fall_asleep)

    def _reset(self, request: bytes) -> Reply:
        return Reply(b"\x51", self.ecu.fall_asleep)

    def _present(self, request: bytes) -> Reply:
        return Reply(None if request[1:2] == b"\x02" else b"\x7e")

    def _timing_parameters(self, request: bytes) -> Reply:
        kind = request[1]
        answers = {0: self.settings.limits, 2: self._timing}
        if kind in answers:
            return Reply(b"\xc3" + request[1:2] + answers[kind])
        require(kind in (1, 3), 0x12)
        wanted = self._defaults if kind == 1 else request[2:]
        require(len(wanted) == 5, 0x12)
        least = self.settings.limits
        within = all(wanted[at] >= least[at] for at in (0, 2, 4))
        ordered = wanted[0] * 0.5 < wanted[1] * 25 and wanted[2] * 0.5 < wanted[3] * 250
        require(within and ordered, 0x31)
        return Reply(b"\xc3" + request[1:2], lambda: self._set_times(wanted))

    def _security(self, request: bytes) -> Reply:
        level = request[1]
        if level % 2:
            if self.unlocked == level:
                return Reply(bytes((0x67, level, 0, 0, 0, 0)))
            require(self.core.now_s >= self._locked_until_s, 0x37)
            self._seed = (level, self._random.randbytes(3) + b"\x01")
            return Reply(bytes((0x67, level)) + self._seed[1])
        require(self._seed is not None and self._seed[0] == level - 1, 0x22)
        assert self._seed is not None
        key = int.from_bytes(self._seed[1]) ^ self.settings.secret
        self._seed = None
        if request[2:] != key.to_bytes(4):
            self._wrong_keys += 1
            if self._wrong_keys < _TRIES:
                raise RefusedError(0x35)
            self._wrong_keys = 0
            self._locked_until_s = self.core.now_s + self.settings.lockout_s
            raise RefusedError(0x36)
        self.unlocked, self._wrong_keys = level - 1, 0
        return Reply(bytes((0x67, level, _GRANTED)))

    def _read(self, request: bytes) -> Reply:
        require(len(request) == 5 and request[4] > 0, 0x12)
        require(not self.settings.needs_key_to_read or self.unlocked is not None, 0x33)
        start, size = int.from_bytes(request[1:4]), request[4]
        require(size <= 254 and self.core.readable(start, size), 0x31)
        return Reply(b"\x63" + self.core.read_flash(start, size))

    def _identify(self, request: bytes) -> Reply:
        if request[1] == self.settings.status_option:
            return Reply(b"\x5a" + request[1:2] + self.finishing.record(self.told.preconditions))
        record = self.told.records.get(request[1])
        only_boots = self.core.in_bootloader and request[1] in self.told.of_application
        if record is None or only_boots:
            raise RefusedError(0x12)
        return Reply(b"\x5a" + request[1:2] + record)

    def _list_faults(self, request: bytes) -> Reply:
        stored = self.core.nvm.records.dtcs
        found = b"".join(dtc_bytes(code)[:2] + bytes((status,)) for code, status in stored.items())
        return Reply(bytes((0x58, len(stored))) + found)

    def _clear_faults(self, request: bytes) -> Reply:
        with self.core.nvm.update() as records:
            records.dtcs = {}
        return Reply(b"\x54" + request[1:3])


def _record_of(times: LineTimes) -> bytes:
    """The times as 83 tells them; P2max is that of the standard."""
    seconds = (times.p2_s, 0.05, times.p3_min_s, times.p3_max_s, times.p4_min_s)
    return bytes(min(round(value / unit), 0xFF) for value, unit in zip(seconds, _UNITS_S, strict=True))
