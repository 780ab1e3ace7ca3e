"""The shape of a definition file. Unknown keys are refused; every number's unit is in its key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal, Self

import rfc8785
from pydantic import Field, ValidationInfo, field_validator, model_validator

from appliance.definitions.checking import Checking
from appliance.definitions.checksum import Checksum
from appliance.definitions.errors import not_simulated
from appliance.definitions.fields import (
    Byte,
    DtcText,
    HexBytes,
    Pattern,
    Strict,
    Word,
    admitted_before,
    refuse,
)
from appliance.definitions.memory import Region, Regions, not_blocks, out_of_reach
from appliance.definitions.plausible import Plausibility
from appliance.definitions.reaching import Addressing, Bus, Identity, Sessions, Timing

PLAIN_DATA = 0x00
"""The data format that says: neither compressed nor encrypted (ISO 14229-1, 14.2)."""


class Evidence(Strict):
    """Where the facts of this definition come from, and what is assumed."""

    level: Literal["unproven", "simulated", "bench-proven", "car-proven"]
    """What the file claims of itself: *unproven* where nobody has run it, not even on a simulated ECU."""
    sources: tuple[str, ...] = Field(min_length=1)
    assumptions: tuple[str, ...] = ()


class Recognition(Strict):
    """Which answers identify this ECU: shell-style patterns, all of the given fields must match."""

    hw: tuple[Pattern, ...] = Field(min_length=1)
    sw: tuple[Pattern, ...] = ()
    boot: tuple[Pattern, ...] = ()

    def given(self) -> dict[str, tuple[str, ...]]:
        """The fields that have patterns, by name."""
        fields = {"hw": self.hw, "sw": self.sw, "boot": self.boot}
        return {name: patterns for name, patterns in fields.items() if patterns}


class Reading(Strict):
    """How memory is read: 0x23 by address, or 0x35/0x36/0x37 upload."""

    method: Literal["by_address", "upload"]
    block_bytes: int = Field(ge=16, le=0xFFFF)
    """Longest piece of memory asked for at once by 0x23; for an upload the longest TransferData message, its
    two header bytes included (0x75 may lower it)."""
    address_bytes: int = Field(default=4, ge=1, le=5)
    size_bytes: int = Field(default=4, ge=1, le=4)
    bootloader_reads: bool = False
    """True where the bootloader also serves reads, so that a read-back works after a failed write."""


class Erasing(Strict):
    """Erase routine (0x31 01): what names the memory.

    By address: format identifier, address and size as in the download (`44 <address> <size>`, also where the
    download goes by block id); by block id: a count of 1 and the id (`01 <id>`, sheet obd 2.1). Status 00 in
    the answer is success.
    """

    routine: Word = 0xFF00
    by: Literal["address", "block_id"]
    status_bytes: int = Field(default=1, ge=0, le=64)
    """Length of the status record in the answer, of which the first byte is 00 for success; 0 where the ECU
    answers without a status."""
    most_per_block: int = Field(default=30, ge=3, le=10_000)
    """Erases of one block in one write, all its recoveries together, before a person is asked."""
    most_in_all: int | None = Field(default=None, ge=3, le=1_000_000)
    """Erases of all blocks in one write; by default four times all that is writable."""


class Writing(Strict):
    """Download (0x34/0x36/0x37): addressing, data format and what precedes it.

    By block id the address is the one-byte id, so address_bytes is 1.
    """

    by: Literal["address", "block_id"]
    data_format: Byte = 0x00
    address_bytes: int = Field(default=4, ge=1, le=5)
    size_bytes: int = Field(default=4, ge=1, le=4)
    block_bytes: int | None = Field(default=None, ge=16, le=0xFFFF)
    """Longest TransferData message, its two header bytes included; the ECU's own maximum applies besides."""
    fingerprint_did: Word | None = None
    fingerprint: HexBytes | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Writing:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if self.data_format != PLAIN_DATA:
            yield (
                f"data_format 0x{self.data_format:02X} is not implemented: downloads go neither compressed "
                "nor encrypted, 0x00"
            )
        if (self.fingerprint_did is None) != (self.fingerprint is None):
            yield "fingerprint_did and fingerprint go together"
        if self.by == "block_id" and self.address_bytes != 1:
            yield "address_bytes is 1 where by = 'block_id': the block id stands in its place"


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
    """True where a half-written ECU may be reset (0x11) to end a transfer that nothing else ends."""
    block_order: Literal["any", "ascending"] = "ascending"
    advice: str = Field(min_length=1)

    @model_validator(mode="after")
    def _comes_back(self) -> Recovery:
        if self.reset_allowed and self.recoverability != "bootloader":
            refuse(["reset_allowed needs recoverability = 'bootloader': nothing else comes back"])
        return self


class Method(Strict):
    """Which access to recommend for this ECU and why."""

    recommended: Literal["obd", "bench", "boot", "bdm", "jtag"]
    reason: str = Field(min_length=1)


class Ritual(Strict):
    """Something the technician must do at a certain step."""

    when: Literal["before_read", "before_write", "after_write", "recovery"]
    text: str = Field(min_length=1)


class Simulation(Strict):
    """How the simulated twin behaves; nothing here is used on a real ECU."""

    erase_ms_per_kib: float = Field(default=4.0, ge=0)
    program_ms_per_kib: float = Field(default=2.0, ge=0)
    hash_ms_per_kib: float = Field(default=0.25, ge=0)
    boot_ms: float = Field(default=300.0, ge=0)
    max_block_bytes: int = Field(default=4095, ge=18, le=0xFFFF)
    hw: str
    sw: str
    boot: str
    serial: str
    vin: str = Field(pattern=r"^[A-HJ-NPR-Z0-9]{17}$")
    calid: str = Field(max_length=16)
    cvn: str = Field(default="DEADC0DE", pattern=r"^[0-9A-F]{8}$")
    dtcs: tuple[DtcText, ...] = ()


class Definition(Strict):
    """One ECU."""

    schema_version: Literal[1]
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{2,60}$")
    name: str = Field(min_length=1)
    kind: Literal["engine", "gearbox"]
    maker: str
    cpu: str
    evidence: Evidence
    recognition: Recognition
    bus: Bus
    addressing: Addressing
    timing: Timing = Timing()
    identity: Identity
    sessions: Sessions
    regions: Regions
    reading: Reading
    erasing: Erasing
    writing: Writing
    checking: Checking
    checksum: Checksum | None = None
    plausibility: Plausibility = Plausibility()
    voltage: Voltage
    recovery: Recovery
    method: Method
    rituals: tuple[Ritual, ...] = ()
    simulation: Simulation | None = None

    @field_validator("reading", "writing")
    @classmethod
    def _reaches(cls, table: Reading | Writing, info: ValidationInfo) -> Reading | Writing:
        if isinstance(table, Reading) or table.by == "address":
            refuse(out_of_reach(_regions(info), table.address_bytes))
        return table

    @field_validator("erasing", "writing", "checking")
    @classmethod
    def _blocks(
        cls, table: Erasing | Writing | Checking, info: ValidationInfo
    ) -> Erasing | Writing | Checking:
        if table.style == "compare_block" if isinstance(table, Checking) else table.by == "block_id":
            refuse(not_blocks(_regions(info)))
        return table

    @field_validator("checking")
    @classmethod
    def _checks_these_regions(cls, checking: Checking, info: ValidationInfo) -> Checking:
        refuse(checking.misfits(_regions(info), _bootloader_reads(info)))
        return checking

    @field_validator("checksum")
    @classmethod
    def _checksum_region(cls, checksum: Checksum | None, info: ValidationInfo) -> Checksum | None:
        names = {region.name for region in _regions(info)}
        if checksum and names and checksum.region not in names:
            refuse([f"no region is called {checksum.region!r}"])
        for region in _regions(info):
            if checksum and region.name == checksum.region:
                refuse(checksum.misfits(region))
        return checksum

    @field_validator("checksum")
    @classmethod
    def _hash_sees_changes(cls, checksum: Checksum | None, info: ValidationInfo) -> Checksum | None:
        """A whole block is compared by its hash, which must not be the same for all content.

        Where a range may be hashed, the heart leaves the stored checksum out
        (`flashing/hash_blind_spots.py`).
        """
        checking: Checking | None = info.data.get("checking")
        if checksum and checking:
            refuse(checking.blind_to(checksum.module, _bootloader_reads(info)))
        return checksum

    @model_validator(mode="after")
    def _proven_where_it_can_be(self) -> Definition:
        if self.evidence.level == "simulated" and self.simulation is None:
            refuse(["evidence.level is 'simulated', and there is no [simulation] table"])
        return self

    @property
    def twin(self) -> Simulation:
        """How the simulated ECU behaves. Raises DefinitionError for a definition of real ECUs alone."""
        if self.simulation is None:
            raise not_simulated(self.id)
        return self.simulation

    @classmethod
    def pinned(cls, data: bytes) -> Self:
        """One that was let in before, perhaps by a build that was less strict: a write may be open under it.

        Raises ValidationError where this build does not know its keys, or a value is none of theirs.
        """
        with admitted_before():
            return cls.model_validate_json(data)

    def region(self, name: str) -> Region:
        """The region of that name. Raises KeyError."""
        for region in self.regions:
            if region.name == name:
                return region
        raise KeyError(name)

    def digest(self) -> str:
        """SHA-256, in hex, of the canonical JSON (RFC 8785) with every default filled in; jobs pin it."""
        return hashlib.sha256(rfc8785.dumps(self.model_dump(mode="json"))).hexdigest()


def _regions(info: ValidationInfo) -> tuple[Region, ...]:
    """The regions validated before, none where they were refused."""
    regions: tuple[Region, ...] = info.data.get("regions", ())
    return regions


def _bootloader_reads(info: ValidationInfo) -> bool:
    reading: Reading | None = info.data.get("reading")
    return reading is not None and reading.bootloader_reads
