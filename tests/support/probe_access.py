"""A second access, nothing like UDS: a debug port that moves words, with faults on demand.

It has no sessions, no seeds and no block ids; where `hashing` is off it cannot prove anything but by reading.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from appliance.contract.places import Range, Start
from appliance.protocols.access import (
    Block,
    Dtc,
    EcuIdentity,
    EcuRefusedError,
    EcuSilentError,
    EcuState,
    Hold,
    Progress,
    Purpose,
    Refusal,
    WireMeter,
)
from tests.support.probe_ecu import ProbeEcu

WORD_BYTES = 4
BURST_BYTES = 1024
BYTES_PER_S = 200_000.0
ERASE_S = 0.05
IDENTITY = EcuIdentity(hw="PROBE-HW-1", sw="PROBE-SW-1", boot="PROBE-BL-1", serial="S1", vin="V1")


@dataclass
class Fault:
    """Strikes calls number `call` to `call + times - 1` of the operation named `on`."""

    on: str
    call: int = 1
    times: int = 1
    error: BaseException | None = None
    strike: Callable[[], None] | None = None
    """Run in the same instant as the error would be raised; may raise itself (a killed box)."""
    after: bool = False
    """The work was done; only its answer is lost."""
    bytes_done: int | None = None
    """Erase and program: stop after so many bytes."""
    cuts_power: bool = False
    alters: Callable[[bytes], bytes] | None = None
    """What is read, or what is stored, instead of the right bytes."""
    takes_s: float = 0.0

    def hits(self, on: str, call: int) -> bool:
        return on == self.on and self.call <= call < self.call + self.times


@dataclass
class ProbeAccess:
    """Implements `EcuAccess` on a ProbeEcu."""

    ecu: ProbeEcu
    hashing: bool = False
    told: EcuIdentity = IDENTITY
    tells: bool = True
    """Whether it has the capability of identity at all."""
    diagnoses: bool = True
    """Whether a program of the ECU answers questions over it."""
    dtcs: tuple[Dtc, ...] = (Dtc("P0301-00", 0x2F),)

    def __post_init__(self) -> None:
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.read_addresses: list[int] = []
        self.erased: list[int] = []
        self.erased_at: list[Start] = []
        self.opened_for: list[Purpose] = []
        self.closes = 0
        self.attached = False
        self._moved = 0

    @property
    def memory(self) -> ProbeAccess:
        return self

    link = None

    @property
    def lifecycle(self) -> ProbeAccess:
        return self

    @property
    def identity(self) -> ProbeAccess | None:
        return self if self.tells else None

    @property
    def diagnostics(self) -> ProbeAccess | None:
        return self if self.diagnoses else None

    @property
    def max_read_bytes(self) -> int:
        return BURST_BYTES

    async def state(self) -> EcuState:
        async with self._call("state"):
            return self.ecu.state()

    async def identify(self) -> EcuIdentity:
        async with self._call("identify"):
            self._refuse_silence()
            return self.told

    async def open(self, purpose: Purpose) -> None:
        async with self._call("open"):
            self._refuse_silence()
            if purpose is not Purpose.RECOVER and self.ecu.state() is not EcuState.APPLICATION:
                raise EcuSilentError("the application was asked for, and there is none")
            self.attached = True
            self.opened_for.append(purpose)

    async def close(self) -> None:
        self.closes += 1
        self.attached = False

    async def read(self, place: Range, *, upwards: bool = True) -> bytes:
        assert 0 < place.length <= BURST_BYTES
        async with self._call("read", place.length) as fault:
            self._need_port()
            self.read_addresses.append(place.start)
            data = self.ecu.read(place)
            return fault.alters(data) if fault and fault.alters else data

    async def erase(self, block: Block) -> None:
        async with self._call("erase", seconds=ERASE_S) as fault:
            self._need_port()
            self.ecu.erase(block, fault.bytes_done if fault else None)
            self.erased.append(block.start)
            self.erased_at.append(block.place.at)

    async def program(self, block: Block, data: bytes, progress: Progress, hold: Hold | None = None) -> None:
        assert len(data) == block.size and len(data) % WORD_BYTES == 0
        async with self._call("program", len(data)) as fault:
            self._need_port()
            if not self.ecu.takes(block):
                raise EcuRefusedError(Refusal.SEQUENCE, f"{block} depends on what is not whole")
            stored = fault.alters(data) if fault and fault.alters else data
            end = len(data) if fault is None or fault.bytes_done is None else fault.bytes_done
            for at in range(0, end, BURST_BYTES):
                part = stored[at : min(at + BURST_BYTES, end)]
                self.ecu.program(block.place.part(at, len(part)), part)
                progress(len(part))
            if end == len(data):
                self.ecu.finish(block)

    async def proves_equal(self, block: Block, expected: bytes) -> bool | None:
        async with self._call("proves_equal"):
            self._need_port()
            return self.ecu.read(block.place) == expected if self.hashing else None

    async def commit(self) -> None:
        async with self._call("commit"):
            self._need_port()
            if not self.ecu.reset():
                raise EcuRefusedError(Refusal.PROGRAMMING, "blocks are missing")

    async def read_dtcs(self) -> tuple[Dtc, ...]:
        async with self._call("read_dtcs"):
            return self.dtcs

    async def clear_dtcs(self) -> None:
        async with self._call("clear_dtcs"):
            self.dtcs = ()

    async def measured_v(self) -> float | None:
        return None

    async def engine_speed_rpm(self) -> float | None:
        return None

    def meter(self) -> WireMeter:
        return WireMeter(self._moved, self._moved / BYTES_PER_S, BYTES_PER_S)

    def _call(self, operation: str, moved_bytes: int = 0, seconds: float = 0.0) -> _Call:
        self.calls[operation] += 1
        self._moved += moved_bytes
        number = self.calls[operation]
        fault = next((fault for fault in self.faults if fault.hits(operation, number)), None)
        return _Call(self, fault, seconds + moved_bytes / BYTES_PER_S)

    def _refuse_silence(self) -> None:
        if self.ecu.state() is EcuState.SILENT:
            raise EcuSilentError("the ECU does not answer")

    def _need_port(self) -> None:
        self._refuse_silence()
        if not self.attached:
            raise EcuRefusedError(Refusal.SESSION_LOST, "the port is not attached")


class _Call:
    """One call: time passes, and its fault strikes before the work or after it."""

    def __init__(self, access: ProbeAccess, fault: Fault | None, seconds: float) -> None:
        self._access = access
        self._fault = fault
        self._seconds = seconds

    async def __aenter__(self) -> Fault | None:
        await asyncio.sleep(self._seconds + (self._fault.takes_s if self._fault else 0.0))
        if self._fault and not self._fault.after and self._fault.bytes_done is None:
            self._strike(self._fault)
        return self._fault

    async def __aexit__(self, kind: object, *_: object) -> None:
        if self._fault and kind is None and (self._fault.after or self._fault.bytes_done is not None):
            self._strike(self._fault)

    def _strike(self, fault: Fault) -> None:
        if fault.cuts_power:
            self._access.ecu.cut_power()
            self._access.attached = False
        if fault.strike is not None:
            fault.strike()
        if fault.error is not None:
            self._access.attached = isinstance(fault.error, EcuRefusedError) and self._access.attached
            raise fault.error
