"""What every way into an ECU has, whatever its protocol: this much of an access the heart knows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from appliance.definitions.choreography import Choreography
from appliance.definitions.fields import Pattern, Strict, refuse
from appliance.definitions.memory import Memory, Region

MethodName = Literal["obd", "bench", "boot", "bdm", "jtag"]
Level = Literal["unproven", "simulated", "bench-proven", "car-proven"]
"""What the file claims of itself: *unproven* where nobody has run it, not even on a simulated ECU."""
Proof = Literal["hash", "crc16", "read_back", "status", "none"]
"""What a block that holds is proven by; a hash of 16 bits is called by its name."""
HashSpan = Literal["bytes", "sector", "block"]
"""What a hash on the target may be asked for: any span, whole sectors alone, or blocks by their name."""
Misfit = tuple[tuple[int | str, ...], str]
"""Path of a key below the access, and why its value does not go with the rest of the definition."""


class Recognition(Strict):
    """Which answers identify this ECU: shell-style patterns, all of the given fields must match."""

    hw: tuple[Pattern, ...] = Field(min_length=1)
    sw: tuple[Pattern, ...] = ()
    boot: tuple[Pattern, ...] = ()

    def given(self) -> dict[str, tuple[str, ...]]:
        """The fields that have patterns, by name."""
        fields = {"hw": self.hw, "sw": self.sw, "boot": self.boot}
        return {name: patterns for name, patterns in fields.items() if patterns}


class Voltage(Strict):
    """Supply window for writing (ISO 14229-1 NRC 0x92/0x93 is the ECU's own)."""

    min_v: float = Field(ge=6, le=32)
    max_v: float = Field(ge=6, le=32)
    target_v: float = Field(default=13.5, ge=6, le=32)
    ripple_v: float = Field(default=0.3, gt=0, le=2)
    steady_s: float = Field(default=5.0, gt=0, le=60)

    @model_validator(mode="after")
    def _ordered(self) -> Voltage:
        if not self.min_v < self.target_v < self.max_v:
            refuse(["min_v < target_v < max_v does not hold"])
        return self


class Recovery(Strict):
    """What can be done when a write was interrupted."""

    recoverability: Literal["bootloader", "bench", "none"]
    reset_allowed: bool = False
    """True where a half-written ECU may be reset to end a transfer that nothing else ends."""
    block_order: Literal["any", "ascending"] = "ascending"
    advice: str = Field(min_length=1)

    @model_validator(mode="after")
    def _comes_back(self) -> Recovery:
        if self.reset_allowed and self.recoverability != "bootloader":
            refuse(["reset_allowed needs recoverability = 'bootloader': nothing else comes back"])
        return self


class Ritual(Strict):
    """Something the technician must do at a certain step."""

    when: Literal["before_read", "before_write", "after_write", "recovery"]
    text: str = Field(min_length=1)


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

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,29}$")
    method: MethodName
    protocol: str
    evidence: Level
    reason: str = Field(min_length=1)
    """Why to take this access, or what speaks against it."""
    prefer: MethodName | None = None
    """A method to prefer to this one, also where the file describes no access of it."""
    recognition: Recognition
    voltage: Voltage
    recovery: Recovery
    rituals: tuple[Ritual, ...] = ()
    entry: Choreography = Choreography()
    """How the controller is powered and strapped before anything is sent, and let go afterwards."""
    erase_bounds: EraseBounds = EraseBounds()

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
    def checks_each_block(self) -> bool:
        """Whether the ECU judges each block right after it was programmed, before the proof at the end."""
        return False

    @abstractmethod
    def in_words(self) -> InWords:
        """How it goes over the wire."""

    @abstractmethod
    def misfits(self, memories: Sequence[Memory]) -> Iterator[Misfit]:
        """Why this access does not go with these memories."""

    def blinded_by(self, module: str) -> bool:
        """Whether a hash over content and that checksum module's value together is always the same."""
        del module
        return False

    def blind_to(self, module: str) -> Iterator[str]:
        """Why a block that holds that module's checksum could not be told from another."""
        del module
        yield from ()

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
