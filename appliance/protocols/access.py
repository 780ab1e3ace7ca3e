"""What an open access to an ECU offers the heart, by capability, whatever the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from appliance.contract.catalogue import Phrase
from appliance.contract.places import Range


@dataclass(frozen=True, slots=True)
class Block:
    """The smallest piece of memory that can be erased and programmed alone (a sector, or a whole block)."""

    region: str
    place: Range
    block_id: int | None = None

    def __str__(self) -> str:
        return f"{self.region} 0x{self.start:08X}+0x{self.size:X}"

    @property
    def memory(self) -> str:
        """Name of the memory it is in."""
        return self.place.memory

    @property
    def start(self) -> int:
        """First address, in its memory."""
        return self.place.start

    @property
    def size(self) -> int:
        """Bytes."""
        return self.place.length

    @property
    def end(self) -> int:
        """First address behind the block."""
        return self.place.end


@dataclass(frozen=True, slots=True)
class EcuIdentity:
    """What an ECU says of itself; None is "did not answer", never an invented value."""

    hw: str | None = None
    sw: str | None = None
    boot: str | None = None
    serial: str | None = None
    vin: str | None = None
    calid: tuple[str, ...] = ()
    cvn: tuple[str, ...] = ()
    bootloader_hw: str | None = None
    """Hardware as the bootloader names it, where it has a field of its own for that."""
    chip_id: str | None = None
    """The processor's own number, of which there is one; never that of its type."""


class EcuState(StrEnum):
    """Which program answers."""

    APPLICATION = "application"
    BOOTLOADER = "bootloader"
    SILENT = "silent"


class Purpose(StrEnum):
    """Why the ECU is opened: decides session, unlock level and rituals."""

    READ = "read"
    WRITE = "write"
    RECOVER = "recover"
    """As WRITE, but nothing the dead application would have to answer may be required."""


class Refusal(StrEnum):
    """Why an ECU said no, in the classes the retry policy distinguishes (sources: uds-refusals)."""

    CONDITIONS = "conditions"
    VOLTAGE = "voltage"
    SECURITY = "security"
    LOCKED_OUT = "locked_out"
    SEQUENCE = "sequence"
    PROGRAMMING = "programming"
    SESSION_LOST = "session_lost"
    UNSUPPORTED = "unsupported"
    AUTHENTICATION = "authentication"
    BUSY = "busy"


class AccessError(Exception):
    """The ECU or the link did not do what was asked."""

    def __init__(self, said: Phrase | str) -> None:
        """What happened; bare English comes from code that is not ours, and has no key."""
        super().__init__(str(said))
        self.said = said if isinstance(said, Phrase) else Phrase("", {}, said)


class EcuSilentError(AccessError):
    """No answer in time."""


class LineFault(StrEnum):
    """What is wrong with a wire that tells it, where a person can mend it."""

    NO_ECHO = "no_echo"
    """The line has no supply or no wire, or is held high."""
    HELD_LOW = "held_low"
    """It is shorted to ground."""
    DISTURBED = "disturbed"
    """Somebody else speaks."""
    ADAPTER_GONE = "adapter_gone"
    """It was unplugged."""
    RATE = "rate"
    """The adapter does not make the bit rate."""
    OTHER_PROTOCOL = "other_protocol"
    """The ECU woke up and speaks something else."""


class LinkLostError(AccessError):
    """The wire itself failed: interface gone, bus-off, or frames that cannot be put together."""

    fault: LineFault | None = None

    def __init__(self, said: Phrase | str, fault: LineFault | None = None) -> None:
        super().__init__(said)
        self.fault = fault or self.fault


class DuplicateEcuError(AccessError):
    """Two ECUs answer at one address: neither may be written."""


class EcuRefusedError(AccessError):
    """The ECU answered no."""

    def __init__(self, refusal: Refusal, said: Phrase | str, code: int | None = None) -> None:
        super().__init__(said)
        self.refusal = refusal
        self.code = code


class NotBegunError(EcuRefusedError):
    """The ECU would not begin to program an erased block, for a reason that another erase cannot change."""


@dataclass(frozen=True, slots=True)
class Dtc:
    """A diagnostic trouble code as shown to people, e.g. P0301-00, and its UDS status byte."""

    code: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class WireMeter:
    """What crossed the wire: payload bytes, seconds spent moving them, and the wire's own ceiling in B/s."""

    payload_bytes: int = 0
    busy_s: float = 0.0
    ceiling_bytes_per_s: float = 0.0
    bitrate_bps: int = 0
    retries: int = field(default=0)
    sent_bytes: int = 0
    """The part of the payload that was sent to be programmed."""
    sent_memory_bytes: int = 0
    """The memory that this part stood for: more where it travelled compressed."""
    read_bytes_per_s: float | None = None
    """Memory that the session which is open now brings at best; None where its protocol does not tell."""
    write_bytes_per_s: float | None = None
    """Memory that it takes at best, without the time of its erase."""

    @property
    def sent_per_memory(self) -> float:
        """Bytes sent for each byte of memory; 1.0 before anything was sent."""
        return self.sent_bytes / self.sent_memory_bytes if self.sent_memory_bytes else 1.0


Progress = Callable[[int], None]
"""Called with the number of payload bytes newly acknowledged by the ECU."""

Hold = Callable[[EcuRefusedError], Awaitable[None]]
"""Called where the ECU refuses to take a piece of a block: returns when that same piece may be sent again,
raises the refusal where it may not."""


class MemoryCapability(Protocol):
    """Reads, erases, programs and proves memory. Every method may raise AccessError."""

    @property
    def max_read_bytes(self) -> int:
        """Largest length `read` takes."""

    async def read(self, place: Range, *, upwards: bool = True) -> bytes:
        """Exactly the bytes of the range; never fewer, never invented.

        `upwards` is the order in which pieces of it are asked for, where the wire leaves a choice.
        """

    async def erase(self, block: Block) -> None:
        """Erase one block and wait until the ECU reports it done."""

    async def program(self, block: Block, data: bytes, progress: Progress, hold: Hold | None = None) -> None:
        """Program one erased block with exactly `block.size` bytes.

        Without `hold` the first piece that is refused ends it. After NotBegunError the block is still
        erased, and may be programmed without another erase.
        """

    async def proves_equal(self, block: Block, expected: bytes) -> bool | None:
        """Have the target check the block; None where it cannot (then read it back).

        By a definition whose checking style is `status` it was compared with nothing.
        """

    def meter(self) -> WireMeter:
        """Wire figures since the access was made."""


class IdentityCapability(Protocol):
    """What this access can tell of the ECU. May raise AccessError."""

    async def identify(self) -> EcuIdentity:
        """Ask for every identity field the definition names; unanswered ones stay None."""


class DiagnosticsCapability(Protocol):
    """Fault codes and live values. Every method may raise AccessError."""

    async def read_dtcs(self) -> tuple[Dtc, ...]:
        """Stored fault codes."""

    async def clear_dtcs(self) -> None:
        """Clear fault codes."""

    async def measured_v(self) -> float | None:
        """The ECU's own supply reading in volts, where it offers one."""

    async def engine_speed_rpm(self) -> float | None:
        """None where the ECU does not tell."""


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """A bus, listened to for a while."""

    load: float
    """Share of the wire in use, 0 to 1."""
    errors: int
    """Counted by the controller at the end."""
    new_errors: int
    """More than at the beginning; below 0 where the controller counted down."""
    bus_off: bool
    lost_frames: int = 0
    """Arrived meanwhile, and thrown away because this box did not take them in time."""


class LinkCapability(Protocol):
    """The wire itself, where others may be on it too."""

    async def listen(self) -> LinkHealth:
        """For a second. Raises OSError."""


class LifecycleCapability(Protocol):
    """Takes the ECU into the state that a purpose needs, and back. Every method may raise AccessError."""

    async def state(self) -> EcuState:
        """Which program answers now, with a short deadline."""

    async def open(self, purpose: Purpose) -> None:
        """Enter the session and unlock level that the purpose needs."""

    async def close(self) -> None:
        """Best effort: give the car back its normal communication. Never raises."""

    async def commit(self) -> None:
        """Have the ECU check itself (dependencies), reset it and wait until its application answers."""


class EcuAccess(Protocol):
    """One open access. A capability that the way into the ECU has not got is None."""

    @property
    def memory(self) -> MemoryCapability:
        """What every access is for."""

    @property
    def lifecycle(self) -> LifecycleCapability:
        """How it is opened and closed."""

    @property
    def identity(self) -> IdentityCapability | None:
        """None where nothing but memory tells which ECU this is."""

    @property
    def diagnostics(self) -> DiagnosticsCapability | None:
        """None where no program answers questions."""

    @property
    def link(self) -> LinkCapability | None:
        """None where nobody else can be on the wire."""


async def told_identity(access: EcuAccess) -> EcuIdentity:
    """What the ECU tells of itself over this access; nothing where it cannot. Raises AccessError."""
    return EcuIdentity() if access.identity is None else await access.identity.identify()
