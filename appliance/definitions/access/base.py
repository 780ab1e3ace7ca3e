"""What every way into an ECU has, whatever its protocol: this much of an access the heart knows."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import BeforeValidator, Field, model_validator

from appliance.definitions.access.security import SecurityLevel
from appliance.definitions.choreography import Choreography
from appliance.definitions.fields import Pattern, Strict, refuse
from appliance.definitions.memory import Memory, Region
from appliance.definitions.wiring import unsafe, with_wires_asked

MethodName = Literal["obd", "bench", "boot", "bdm", "jtag"]
Level = Literal["unproven", "simulated", "bench-proven", "car-proven"]
"""What the file claims of itself: *unproven* where nobody has run it, not even on a simulated ECU."""
Proof = Literal["hash", "crc16", "read_back", "status", "none"]
"""What a block that holds is proven by; a hash of 16 bits is called by its name."""
HashSpan = Literal["bytes", "sector", "block"]
"""What a hash on the target may be asked for: any span, whole sectors alone, or blocks by their name."""

_UNLOCKED_FOR = {"read_security": "to read", "write_security": "to write"}


def _any_is_ascending(word: object) -> object:
    """Definitions from before the order was kept said `any` for what takes the blocks as they come."""
    return "ascending" if word == "any" else word


BlockOrder = Annotated[Literal["ascending", "descending"], BeforeValidator(_any_is_ascending)]
Misfit = tuple[tuple[int | str, ...], str]
"""Path of a key below the access, and why its value does not go with the rest of the definition."""


class Recognition(Strict):
    """Which answers identify this ECU: shell-style patterns, all of the given fields must match.

    Without any, a person names the definition.
    """

    hw: tuple[Pattern, ...] = ()
    """Patterns of the hardware number."""
    sw: tuple[Pattern, ...] = ()
    """Patterns of the software number."""
    boot: tuple[Pattern, ...] = ()
    """Patterns of the boot loader version."""
    chip_id: tuple[Pattern, ...] = ()
    """Patterns of the chip's own number, where an access tells one."""

    def given(self) -> dict[str, tuple[str, ...]]:
        """The fields that have patterns, by name."""
        fields = {"hw": self.hw, "sw": self.sw, "boot": self.boot, "chip_id": self.chip_id}
        return {name: patterns for name, patterns in fields.items() if patterns}


class Voltage(Strict):
    """Supply window for writing (ISO 14229-1 NRC 0x92/0x93 is the ECU's own)."""

    min_v: float = Field(ge=6, le=32)
    """Below it no write begins."""
    max_v: float = Field(ge=6, le=32)
    """Above it no write begins."""
    target_v: float = Field(default=13.5, ge=6, le=32)
    """What the support unit is set to."""
    ripple_v: float = Field(default=0.3, gt=0, le=2)
    """Most that the supply may move, peak to peak."""
    steady_s: float = Field(default=5.0, gt=0, le=60)
    """So long it must hold before a write."""

    @model_validator(mode="after")
    def _ordered(self) -> Voltage:
        if not self.min_v < self.target_v < self.max_v:
            refuse(["min_v < target_v < max_v does not hold"])
        return self


class Recovery(Strict):
    """What can be done when a write was interrupted."""

    recoverability: Literal["bootloader", "bench", "none"]
    """What a half-written ECU can be reached by: its boot loader over this access, the bench, or nothing."""
    reset_allowed: bool = False
    """True where a half-written ECU may be reset to end a transfer that nothing else ends."""
    block_order: BlockOrder = "ascending"
    """How every write takes the blocks of a region, each by its address."""
    first: tuple[str, ...] = Field(default=(), max_length=16)
    """Regions that are whole before any other is begun, in this order."""
    last: tuple[str, ...] = Field(default=(), max_length=16)
    """Regions that are begun when every other is whole, in this order."""
    rewrite_last: bool = False
    """True where the ECU calls its memory incomplete until the last block of all is written behind every
    other: it ends each write that erased anything, also where it holds the target already."""
    advice: str = Field(min_length=1)
    """What the technician is told when a write was interrupted."""

    @model_validator(mode="after")
    def _consistent(self) -> Recovery:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if self.reset_allowed and self.recoverability != "bootloader":
            yield "reset_allowed needs recoverability = 'bootloader': nothing else comes back"
        if self.rewrite_last and not self.last:
            yield "rewrite_last needs 'last': the region whose last block ends every write"
        named = Counter((*self.first, *self.last))
        yield from (f"first and last name {name!r} {n} times" for name, n in named.items() if n > 1)

    def in_words(self) -> Iterator[str]:
        """The order of blocks, where it is not the usual one."""
        if self.block_order != "ascending":
            yield "blocks of a region: from the highest address down"
        if self.first:
            yield f"before all other regions: {', '.join(self.first)}"
        if self.last:
            yield f"behind all other regions: {', '.join(self.last)}"
        if self.rewrite_last:
            yield f"the last block of {self.last[-1]} ends every write, though it may hold its bytes already"


class Ritual(Strict):
    """Something the technician must do at a certain step."""

    when: Literal["before_read", "before_write", "after_write", "recovery"]
    """At which step."""
    text: str = Field(min_length=1)
    """What to do, in a sentence or two."""


class Wire(Strict):
    """One connection between the box and the ECU's connector."""

    pin: str = Field(min_length=1, max_length=40)
    """Of the ECU's connector, as its drawing names it."""
    to: str = Field(min_length=1, max_length=40)
    """Terminal of the box, or of the supply."""
    note: str | None = Field(default=None, min_length=1, max_length=200)
    """What else a person must know of it."""


class EraseBounds(Strict):
    """How much flash one write may wear, all its recoveries together, before a person is asked."""

    most_per_block: int = Field(default=30, ge=3, le=10_000)
    """Erases of one block."""
    most_in_all: int | None = Field(default=None, ge=3, le=1_000_000)
    """Erases of all blocks; by default four times all that is writable."""


@dataclass(frozen=True, slots=True)
class InWords:
    """An access as tables of what is supported tell it."""

    wire: str
    read: str
    write: str
    delta: str


class AccessDefinition(Strict):
    """One way into the ECU. A protocol's own file adds the tables that only it has."""

    twin_table: ClassVar[type[Strict] | None] = None
    """What `[simulation.protocols.NAME]` says of a simulated ECU of this protocol."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,29}$")
    """Name of the access, used once in the file."""
    method: MethodName
    """Where the box is connected."""
    protocol: str
    """What is spoken; it decides which further tables there are."""
    evidence: Level
    """How far this access is proven."""
    reason: str = Field(min_length=1)
    """Why to take this access, or what speaks against it."""
    prefer: MethodName | None = None
    """A method to prefer to this one, also where the file describes no access of it."""
    recognition: Recognition
    """Which answers identify the ECU."""
    voltage: Voltage
    """Supply window for writing."""
    recovery: Recovery
    """What can be done when a write was interrupted."""
    rituals: tuple[Ritual, ...] = ()
    """What the technician does, and when."""
    entry: Choreography = Choreography()
    """How the controller is powered and strapped before anything is sent, and let go afterwards."""
    wiring: tuple[Wire, ...] = Field(default=(), max_length=64)
    """How the ECU is connected, beside or in place of the car's own plug."""
    memories: tuple[str, ...] = Field(default=(), max_length=16)
    """Memories that this access reaches; all where none is named."""
    erase_bounds: EraseBounds = EraseBounds()
    """How often one write may erase before a person is asked."""

    @model_validator(mode="after")
    def _powered_with_care(self) -> AccessDefinition:
        if self.method == "bench":
            refuse(unsafe(self.entry, self.wiring))
        elif any(step.verb == "connect_wires" for step in self.entry.steps):
            refuse(() if self.wiring else ["connect_wires asks for nothing: there is no wiring"])
        return self

    @property
    def choreography(self) -> Choreography:
        """The entry as it is run: each wire is a question of its own."""
        return with_wires_asked(self.entry, self.wiring)

    @property
    @abstractmethod
    def proof(self) -> Proof:
        """What a block that holds is proven by."""

    @property
    @abstractmethod
    def hash_span(self) -> HashSpan | None:
        """What a hash on the target may be asked for; None where there is none."""

    @property
    @abstractmethod
    def judges_itself(self) -> bool:
        """Whether the ECU says at the end of a write if all its memory together is good."""

    @property
    def bitrate_bps(self) -> int | None:
        """Of its wire, where that has one."""
        return None

    @property
    def secret_names(self) -> frozenset[str]:
        """What the owner must supply before it can be opened for a write."""
        return frozenset()

    @property
    def reading_secrets(self) -> frozenset[str]:
        """What the owner must supply before it can be opened to read."""
        return frozenset()

    @property
    def security_levels(self) -> dict[str, SecurityLevel]:
        """Its unlocks, by the key of the table that tells each."""
        return {}

    @property
    def unlock_secrets(self) -> frozenset[str]:
        """Names of the secrets that seeds are answered by."""
        return frozenset(level.secret for level in self.security_levels.values() if level.secret)

    @property
    def secret_bytes(self) -> dict[str, tuple[int, ...]]:
        """Lengths, by name, of those secrets that not every length is right for."""
        levels = [level for level in self.security_levels.values() if level.secret_bytes]
        return {level.secret: level.secret_bytes for level in levels if level.secret}

    @property
    def checks_each_block(self) -> bool:
        """Whether the ECU judges each block right after it was programmed, before the proof at the end."""
        return False

    @abstractmethod
    def in_words(self) -> InWords:
        """How it goes over the wire."""

    def more_in_words(self) -> Iterator[str]:
        """What else of its own a person should know, a line each."""
        yield from self.unlocks_in_words()

    def unlocks_in_words(self) -> Iterator[str]:
        """Each unlock, never with its value."""
        for key, level in self.security_levels.items():
            yield f"{_UNLOCKED_FOR[key]}: {level.in_words()}"

    @abstractmethod
    def misfits(self, memories: Sequence[Memory]) -> Iterator[Misfit]:
        """Why this access does not go with the memories that it reaches."""

    def blinded_by(self, module: str) -> bool:
        """Whether a hash over content and that checksum module's value together is always the same."""
        del module
        return False

    def blind_to(self, module: str) -> Iterator[str]:
        """Why a block that holds that module's checksum could not be told from another."""
        del module
        yield from ()

    def reached(self, memories: Iterable[Memory]) -> tuple[Memory, ...]:
        """Those of the ECU's memories that this access reaches."""
        return tuple(memory for memory in memories if not self.memories or memory.name in self.memories)

    def reaches(self, memories: Iterable[Memory]) -> frozenset[str]:
        """Names of those memories."""
        return frozenset(memory.name for memory in self.reached(memories))

    def regions(self, memories: Iterable[Memory]) -> tuple[Region, ...]:
        """Every region that this access reaches."""
        return regions_of(self.reached(memories))

    @property
    def compares(self) -> bool:
        """Whether memory is compared with what it should hold, not merely called good by the ECU."""
        return self.proof not in ("status", "none")

    @property
    def certain(self) -> bool:
        """Whether a block may be left alone on its word: one wrong content in 65,536 passes a CRC-16."""
        return self.proof in ("hash", "read_back")


def regions_of(memories: Iterable[Memory]) -> tuple[Region, ...]:
    """Every region of every memory."""
    return tuple(region for memory in memories for region in memory.regions)


class HasAccesses(Protocol):
    """A definition, as far as its accesses go."""

    @property
    def accesses(self) -> tuple[AccessDefinition, ...]:
        """Every way in."""
