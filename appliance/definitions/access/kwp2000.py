"""An access over KWP2000 on a K-line (ISO 14230): how it is woken, its sessions, and how it treats memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from appliance.definitions.access.base import (
    AccessDefinition,
    HasAccesses,
    HashSpan,
    InWords,
    Misfit,
    Proof,
    regions_of,
)
from appliance.definitions.access.security import SecurityLevel
from appliance.definitions.access.transform import Transform
from appliance.definitions.fields import Byte, HexBytes, Strict, refuse
from appliance.definitions.memory import Memory, out_of_reach

ADDRESS_BYTES = 3
MOST_MESSAGE_BYTES = 255
_MOST_TOOL_CODE_BYTES = 6


class Line(Strict):
    """The wire, and how the ECU on it is woken."""

    wake: Literal["slow", "fast"]
    """By an address at 5 bit/s, or by a pulse of 25 ms."""
    wake_address: Byte | None = None
    """That address."""
    wake_parity: Literal["none", "odd", "even"] = "none"
    """Parity of its seven bits, in the eighth; none where all eight are the address."""
    rate_bps: int = Field(default=10_400, ge=1_200, le=250_000)
    """Bit rate after waking."""
    target: Byte
    """Address of the ECU in headers."""
    addressed: bool = True
    """Whether headers carry addresses."""
    length_byte: bool = False
    """Whether every length has a byte of its own."""
    addressed_once_awake: bool | None = None
    """The same once it is awake, where it says one thing by its key bytes and does another; by default as
    before."""
    application_refuses: bool = False
    """Whether a running application answers the wake-up by 7F 00 13: it tells nothing of itself, and is left
    for the boot loader by 10 and 82 before anything is read or written (sources: vw-edc15)."""

    @model_validator(mode="after")
    def _consistent(self) -> Line:
        if (self.wake == "slow") != (self.wake_address is not None):
            refuse(["wake_address belongs to wake = 'slow', and to nothing else"])
        if self.application_refuses and self.wake != "fast":
            refuse(["application_refuses belongs to wake = 'fast': 81 is what is refused"])
        return self


class Times(Strict):
    """Times that the host keeps (ISO 14230-2, 4.4)."""

    p2_max_ms: int = Field(default=50, ge=25, le=5_000)
    """Longest to an answer."""
    p3_min_ms: int = Field(default=55, ge=0, le=1_000)
    """Shortest to the next request."""
    p4_min_ms: int = Field(default=5, ge=0, le=20)
    """Shortest between two bytes of a request."""
    to_limits: bool = False
    """Whether the ECU is asked for its limits (83 00) and set to them for reading and writing."""
    pending_ceiling_s: float = Field(default=90.0, gt=0, le=600)
    """So long 7F xx 78 is waited out."""
    restart_wait_s: float = Field(default=2.0, ge=0, le=60)
    """Before the ECU is woken again after a write."""


class IdentityField(Strict):
    """Where in an answer to 1A something stands."""

    option: Byte
    """What 1A asks for."""
    first: int = Field(default=0, ge=0, le=MOST_MESSAGE_BYTES)
    """First byte of it, behind the option."""
    length: int | None = Field(default=None, ge=1, le=MOST_MESSAGE_BYTES)
    """Bytes of it; all that is left where it is not given."""


class KwpIdentity(Strict):
    """Which records of 1A tell who it is."""

    hw: IdentityField
    """Hardware number."""
    sw: IdentityField
    """Software number; the application alone tells it."""
    boot: IdentityField | None = None
    """Boot loader version."""
    serial: IdentityField | None = None
    """Serial number of the ECU."""
    vin: IdentityField | None = None
    """Vehicle identification number."""


class KwpSessions(Strict):
    """Sessions of 10, and the unlocks each purpose needs."""

    read: Byte | None = None
    """In which memory is read; none where the one after waking does."""
    read_rate_bps: int | None = Field(default=None, ge=9_600, le=250_000)
    """Bit rate asked for with it."""
    read_security: SecurityLevel | None = None
    """Unlock before reading."""
    programming: Byte = 0x85
    """In which it is written."""
    programming_rate_bps: int | None = Field(default=None, ge=9_600, le=250_000)
    """Bit rate asked for with it."""
    write_security: SecurityLevel
    """Unlock before writing."""
    status_option: Byte | None = None
    """What 1A asks for to learn whether the ECU can be programmed now: before a write, never of a boot loader
    that is to be recovered (sources: vw-me7)."""

    @property
    def levels(self) -> dict[str, SecurityLevel]:
        """Its unlocks, by their keys."""
        found = {"read_security": self.read_security, "write_security": self.write_security}
        return {key: level for key, level in found.items() if level is not None}

    @model_validator(mode="after")
    def _consistent(self) -> KwpSessions:
        if self.read_rate_bps is not None and self.read is None:
            refuse(["read_rate_bps is asked for with a session: set read"])
        return self


class KwpReading(Strict):
    """How memory is read."""

    method: Literal["by_address", "upload", "none"] = "by_address"
    """By address (23), or by upload (35, 36, 37). With `none` this access tells who is there and no more: its
    memory is the business of a loader that is not there."""
    block_bytes: int = Field(default=254, ge=16, le=MOST_MESSAGE_BYTES - 1)
    """Longest piece asked for at once by 23; of an upload 75 says it."""


class KwpLayout(Strict):
    """What is looked at before memory is read or written: whether it is the one described here. A boot loader
    that is to be recovered is not asked."""

    ends: bool = False
    """Whether two bytes are read at both ends of each memory, and two beyond them, which must be refused."""
    mirrored_at: int | None = Field(default=None, ge=0, lt=1 << 8 * ADDRESS_BYTES)
    """Where a shorter part would hold the first bytes of memory once more: they must not be there."""


class KwpErasing(Strict):
    """Erase routine (31), given first and last address, and asked for its result (33) until it is done."""

    routine: Byte = 0xC4
    """Local identifier of the routine."""
    tool_code: HexBytes = Field(default="", max_length=2 * _MOST_TOOL_CODE_BYTES)
    """What it gets behind the addresses."""
    longest_s: float = Field(default=30.0, gt=0, le=600)
    """Longest that the erase of a block takes."""


class KwpWriting(Strict):
    """Download by 34, 36 without a block counter, and 37."""

    data_format: Byte = 0x00
    """As the ECU numbers the transforms; 0x00 where there is none."""
    transforms: tuple[Transform, ...] = Field(default=(), max_length=1)
    """What is done to a block before it travels: `bcb-1`. 34 announces the length in memory."""
    ends_pending: bool = False
    """Whether a download that an interruption left open is ended by erased bytes before 34 is asked again:
    the ECU answers 34 by 23 until then."""
    block_bytes: int | None = Field(default=None, ge=16, le=MOST_MESSAGE_BYTES)
    """Longest 36, its service byte included; the ECU's own maximum applies besides."""


class KwpChecking(Strict):
    """A routine by which the ECU checks a block once it was written; what it holds is read back besides."""

    routine: Byte | None = None
    """Local identifier of the routine."""
    kind: Literal["crc32-low16", "sum16"] = "crc32-low16"
    """What it gets behind the addresses: the low half of CRC-32, or the sum of all bytes."""


class KwpTwin(Strict):
    """How the simulated ECU behaves on its K-line; nothing here is used on a real one."""

    key_bytes: HexBytes = Field(default="6B8F", min_length=4, max_length=4)
    """What it says of itself when it is woken."""
    limits: HexBytes = Field(default="0002000200", min_length=10, max_length=10)
    """Its least times, as 83 00 tells them."""
    rates_bps: tuple[int, ...] = (10_400, 38_400, 124_800)
    """Bit rates that it agrees to."""
    p4_min_ms: float = Field(default=5.0, ge=0, le=20)
    """It hears no message whose bytes come faster."""
    check_ms: float = Field(default=100.0, ge=0)
    """Time to check a block."""
    most_in_download: int = Field(default=254, ge=16, le=MOST_MESSAGE_BYTES)
    """Longest 36 that it takes, its service byte included."""
    drops_after_erase: bool = False
    """Whether the channel is gone once an erase has begun."""


class KwpAccessDefinition(AccessDefinition):
    """KWP2000 on a K-line, at the car's plug or on the bench."""

    twin_table: ClassVar[type[Strict] | None] = KwpTwin
    method: Literal["obd", "bench"]
    """Where the box is connected."""
    protocol: Literal["kwp2000"]
    """KWP2000."""
    line: Line
    """The wire."""
    times: Times = Times()
    """Times that the host keeps."""
    identity: KwpIdentity
    """Records that tell who it is."""
    sessions: KwpSessions
    """Sessions and unlocks."""
    reading: KwpReading = KwpReading()
    """How memory is read."""
    layout: KwpLayout = KwpLayout()
    """What tells that the memory is this one."""
    erasing: KwpErasing = KwpErasing()
    """How it is erased."""
    writing: KwpWriting = KwpWriting()
    """How it is written."""
    checking: KwpChecking = KwpChecking()
    """How the ECU checks it."""

    @property
    def proof(self) -> Proof:
        """Memory is read back: a check of 16 bits alone proves too little."""
        return "read_back"

    @property
    def hash_span(self) -> HashSpan | None:
        """None: nothing is hashed on the target."""
        return None

    @property
    def judges_itself(self) -> bool:
        """The ECU says nothing of all its memory together."""
        return False

    @property
    def bitrate_bps(self) -> int:
        """That of writing."""
        return self.sessions.programming_rate_bps or self.line.rate_bps

    def in_words(self) -> InWords:
        """Wake-up and rates, service and size of reads, unit of writes."""
        how = "5 bit/s" if self.line.wake == "slow" else "pulse"
        rates = f"{self.line.rate_bps} to {self.bitrate_bps} bit/s"
        return InWords(
            f"K-line, woken by {how}, {rates}, address {self.line.target:02X}",
            self._read(),
            self._written(),
            "read-back, where that pays",
        )

    def _read(self) -> str:
        if self.reading.method != "by_address":
            return "upload (0x35)" if self.reading.method == "upload" else "not"
        return f"by address (0x23), {self.reading.block_bytes} bytes at once"

    def _written(self) -> str:
        if self.reading.method == "none":
            return "not"
        return "sector by sector, transformed" if self.writing.transforms else "sector by sector"

    @property
    def secret_names(self) -> frozenset[str]:
        """What unlocks it, and the texts of its transforms."""
        return self.unlock_secrets | {one.key for one in self.writing.transforms if one.key}

    @property
    def reading_secrets(self) -> frozenset[str]:
        """What unlocks it to be read."""
        level = self.sessions.read_security
        return frozenset((level.secret,) if level and level.secret else ())

    @property
    def security_levels(self) -> dict[str, SecurityLevel]:
        """Those of its sessions."""
        return self.sessions.levels

    def misfits(self, memories: Sequence[Memory]) -> Iterator[Misfit]:
        """Addresses out of reach of three bytes."""
        for problem in out_of_reach(regions_of(memories), ADDRESS_BYTES):
            yield (), problem
        if [one.name for one in self.writing.transforms] not in ([], ["bcb-1"]):
            yield ("writing",), "transforms are 'bcb-1', or none"
        yield from (
            (("layout",), f"memory {memory.name!r}: {reason}")
            for memory in memories
            for reason in self._layout_misfits(memory)
        )
        if bool(self.writing.data_format) != bool(self.writing.transforms):
            yield (
                ("writing",),
                f"data_format 0x{self.writing.data_format:02X} and transforms do not say the same",
            )

    def _layout_misfits(self, memory: Memory) -> Iterator[str]:
        start, end = memory.regions[0].start, memory.regions[-1].place.end
        if self.layout.ends and not 2 <= start < end <= (1 << 8 * ADDRESS_BYTES) - 2:
            yield "ends: there is no address beyond it"
        mirror = self.layout.mirrored_at
        if mirror is not None and not start < mirror < end:
            yield "mirrored_at is not an address behind its first"


def kwp_access(definition: HasAccesses) -> KwpAccessDefinition:
    """The first access over KWP2000. Raises KeyError."""
    for access in definition.accesses:
        if isinstance(access, KwpAccessDefinition):
            return access
    raise KeyError("kwp2000")
