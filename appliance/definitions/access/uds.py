"""An access over UDS (ISO 14229): its wire, its sessions, and how it treats memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from appliance.contract.places import Range
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
from appliance.definitions.access.uds_checking import Checking
from appliance.definitions.access.uds_link import Addressing, Bus, Identity, Sessions, Timing
from appliance.definitions.access.uds_memory import AddressSpace, Erasing, Reading, Writing
from appliance.definitions.fields import Strict
from appliance.definitions.memory import Memory, Region, ambiguous, not_blocks, out_of_reach
from appliance.definitions.place_steps import Fetch, longest_piece
from appliance.definitions.step_kinds import Loader, Unlock
from appliance.definitions.steps import Steps

_SHORT_ADDRESS_BYTES = 4
"""Length of an address where blocks are downloaded by another name (format identifier 44)."""
_SPANS: dict[str, HashSpan] = {"hash_range": "bytes", "compare_range": "bytes", "compare_block": "block"}


class UdsTwin(Strict):
    """How the simulated ECU behaves over UDS; nothing here is used on a real one."""

    rates_bps: tuple[int, ...] = Field(default=(), max_length=8)
    """Bit rates that it changes to when it is asked (87); without any it does not know the service."""


class UdsAccessDefinition(AccessDefinition):
    """UDS over ISO-TP, at the car's plug or on the bench."""

    twin_table: ClassVar[type[Strict] | None] = UdsTwin
    method: Literal["obd", "bench"]
    """Where the box is connected."""
    protocol: Literal["uds"]
    """UDS."""
    bus: Bus
    """The wire."""
    addressing: Addressing
    """Identifiers on it."""
    timing: Timing = Timing()
    """Times that the host keeps."""
    identity: Identity
    """Data identifiers that tell who it is."""
    sessions: Sessions
    """Sessions and unlocks."""
    reading: Reading
    """How memory is read."""
    erasing: Erasing
    """How it is erased."""
    writing: Writing
    """How it is written."""
    checking: Checking
    """How the ECU proves it."""
    address_spaces: tuple[AddressSpace, ...] = Field(default=(), max_length=16)
    """Memories whose addresses are others on the wire; each of the rest is addressed as it is."""
    steps: Steps = Steps()
    """Lists that replace what the tables above say of the same."""

    @property
    def proof(self) -> Proof:
        """As the checking table says."""
        return self.checking.method

    @property
    def hash_span(self) -> HashSpan | None:
        """As the checking table's style and granularity say."""
        span = _SPANS.get(self.checking.style)
        return "sector" if span == "bytes" and self.checking.hash_granularity == "sector" else span

    @property
    def judges_itself(self) -> bool:
        """Whether there is a routine that checks programming dependencies."""
        return self.checking.dependencies_routine is not None

    @property
    def bitrate_bps(self) -> int:
        """The nominal one."""
        return self.bus.bitrate_bps

    @property
    def checks_each_block(self) -> bool:
        """As the checking table says."""
        return self.checking.after_each_block

    def offset_of(self, memory: str) -> int:
        """What is added to the addresses of a memory on the wire."""
        return next((one.offset for one in self.address_spaces if one.memory == memory), 0)

    def wire_start(self, place: Range) -> int:
        """The address by which requests name the start of a range."""
        return place.start + self.offset_of(place.memory)

    def on_wire(self, memory: Memory) -> Memory:
        """A memory with the addresses by which requests name it."""
        offset = self.offset_of(memory.name)
        moved = (one.model_copy(update={"start": one.start + offset}) for one in memory.regions)
        return memory.model_copy(update={"regions": tuple(moved)})

    def in_words(self) -> InWords:
        """Bus and identifiers, service and size of reads, unit of writes, what a delta write rests on."""
        how = {"upload": "upload (0x35)", "by_address": "by address (0x23)", "steps": "by steps"}
        return InWords(
            _wire(self.bus, self.addressing),
            f"{how[self.reading.method]}, {self.reading.block_bytes} bytes at once",
            self._written(),
            f"by hash (routine 0x{self.checking.routine:04X})" if self.proof == "hash" else "full write",
        )

    @property
    def secret_names(self) -> frozenset[str]:
        """What the owner must supply, for its unlocks, its loaders and its payload."""
        return self.steps.secrets | self.unlock_secrets | set(self.secret_bytes)

    @property
    def reading_secrets(self) -> frozenset[str]:
        """For the unlock before a read; of steps that open to read, for what they unlock and load."""
        sessions, opening = self.sessions, self.steps.open_to_read
        if opening is None:
            return frozenset(one.secret for one in (sessions.read_security,) if one and one.secret)
        purposes = {step.purpose for step in opening if isinstance(step, Unlock)}
        levels = [sessions.read_security] if "reading" in purposes else []
        levels += [sessions.write_security] if "writing" in purposes else []
        loaded = {step.secret for step in opening if isinstance(step, Loader)}
        return frozenset(one.secret for one in levels if one and one.secret) | loaded

    @property
    def security_levels(self) -> dict[str, SecurityLevel]:
        """Those of its sessions."""
        return self.sessions.levels

    @property
    def secret_bytes(self) -> dict[str, tuple[int, ...]]:
        """Lengths that the payload's cipher takes: keys of AES, and its start value; and those of unlocks."""
        ciphers = [one for one in self.writing.transforms if one.name == "aes-cbc"]
        keys: dict[str, tuple[int, ...]] = {one.key: (16, 24, 32) for one in ciphers if one.key}
        return super().secret_bytes | keys | {one.iv: (16,) for one in ciphers if one.iv}

    def _written(self) -> str:
        unit = "sector by sector" if self.erasing.by == "address" else "block by block"
        kinds = {"lzss-10-6": "compressed", "aes-cbc": "encrypted with the owner's key"}
        how = " and ".join(kinds[one.name] for one in self.writing.transforms)
        return f"{unit}, {how}" if how else unit

    def more_in_words(self) -> Iterator[str]:
        """How it is unlocked, and its steps, where lists replace the tables."""
        yield from self.unlocks_in_words()
        yield from self.steps.in_words()

    def misfits(self, memories: Sequence[Memory]) -> Iterator[Misfit]:
        """Addresses out of reach, blocks without a name, checks that cannot prove these regions."""
        regions = regions_of(memories)
        wired = [self.on_wire(memory) for memory in memories]
        yield from self._spaces_misfits(memories)
        for table, address_bytes in self._address_bytes().items():
            for problem in out_of_reach(regions_of(wired), address_bytes):
                yield (table,), problem
        by_id = {
            "erasing": self.erasing.by == "block_id",
            "writing": self.writing.by == "block_id",
            "checking": self.checking.style == "compare_block",
        }
        for table in (table for table, named in by_id.items() if named):
            for problem in not_blocks(regions):
                yield (table,), problem
        for problem in ambiguous(wired):
            yield (), problem
        yield from self._steps_misfits(regions)
        for problem in self.checking.misfits(regions, self.reading.bootloader_reads):
            yield ("checking",), problem

    def _address_bytes(self) -> dict[str, int]:
        """How long an address is in the requests of each table that names memory by it."""
        by_address = self.writing.by == "address"
        length = self.writing.address_bytes if by_address else _SHORT_ADDRESS_BYTES
        found = {"reading": self.reading.address_bytes}
        found |= {"writing": length} if by_address else {}
        found |= {"erasing": length} if self.erasing.by == "address" else {}
        return found | ({"checking": length} if self.checking.names_spans else {})

    def _spaces_misfits(self, memories: Sequence[Memory]) -> Iterator[Misfit]:
        names = [one.memory for one in self.address_spaces]
        for name in sorted(set(names) - {memory.name for memory in memories}):
            yield ("address_spaces",), f"this access reaches no memory {name!r}"
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield ("address_spaces",), f"the memory {name!r} is named twice"

    def _steps_misfits(self, regions: Sequence[Region]) -> Iterator[Misfit]:
        """A table hands over to a list, or the list is not there; a list nobody hands over to is dead."""
        for table, handed_over, given in (
            ("reading", self.reading.method == "steps", self.steps.read),
            ("erasing", self.erasing.by == "steps", self.steps.erase),
            ("writing", self.writing.by == "steps", self.steps.program),
            ("checking", self.checking.style == "steps", self.steps.prove),
        ):
            key = {"reading": "read", "erasing": "erase", "writing": "program", "checking": "prove"}[table]
            if handed_over and given is None:
                yield (table,), f"says 'steps', and there is no [access.steps] {key}"
            if given is not None and not handed_over:
                yield ("steps", key), f"is given, and {table} does not say 'steps'"
        erase = b"\x31\x01" + self.erasing.routine.to_bytes(2)
        for problem in self.steps.hidden_erases(frozenset({erase})) if self.steps.erase is None else ():
            yield ("steps",), problem
        if self.steps.names_blocks:
            for problem in not_blocks(regions):
                yield ("steps",), problem
        yield from self._rate_misfits()
        yield from self._in_place_misfits(regions)
        yield from self._unread()
        yield from self._untold()

    def _rate_misfits(self) -> Iterator[Misfit]:
        for name, at, step in self.steps.rates:
            where = ("steps", f"{name}[{at}]")
            if self.bus.kind != "can":
                yield where, "the rates of CAN FD are not changed: bus.kind is 'can' for a rate"
            if step.to_bps == self.bus.bitrate_bps:
                yield where, "to_bps is the rate of the bus already"
            if self.recovery.recoverability != "bootloader":
                yield (
                    where,
                    (
                        "an ECU goes back to the first rate by losing its session, and one of recoverability "
                        f"{self.recovery.recoverability!r} must not lose it half written"
                    ),
                )

    def _unread(self) -> Iterator[Misfit]:
        for step in self.steps.read or ():
            if isinstance(step, Fetch) and self.reading.block_bytes > longest_piece(step):
                told = (
                    f"{self.reading.block_bytes} bytes at once, and steps.read can name {longest_piece(step)}"
                )
                yield ("reading", "block_bytes"), told
        opening = (*(self.steps.open or ()), *(self.steps.open_to_read or ()), *(self.steps.recover or ()))
        wants_level = any(isinstance(step, Unlock) and step.purpose == "reading" for step in opening)
        if wants_level and self.sessions.read_security is None:
            yield ("steps",), "a step unlocks for reading, and sessions.read_security is not given"

    def _untold(self) -> Iterator[Misfit]:
        told = {step.tells for step in self.steps.identify or ()}
        for name in ("hw", "sw"):
            if name not in told and getattr(self.identity, name) is None:
                yield ("identity", name), "is missing, and no step of steps.identify tells it"
        for name in sorted(told):
            if getattr(self.identity, name) is not None:
                yield ("identity", name), "is told by steps.identify too: which of the two?"

    def _in_place_misfits(self, regions: Sequence[Region]) -> Iterator[Misfit]:
        names = {region.name for region in regions if region.writable}
        for name in self.erasing.in_place:
            if name not in names:
                yield ("erasing", "in_place"), f"no writable region is called {name!r}"
        for region in regions:
            if region.name in self.erasing.in_place and region.erases_with:
                yield (
                    ("erasing", "in_place"),
                    f"{region.name!r} is never erased, so it erases nothing with it",
                )

    def blinded_by(self, module: str) -> bool:
        """By the kind of hash that the checking table names."""
        return self.checking.blinded_by(module)

    def blind_to(self, module: str) -> Iterator[str]:
        """Where a range may be hashed the heart leaves the stored checksum out; a block cannot be cut."""
        yield from self.checking.blind_to(module, self.reading.bootloader_reads)


def uds_access(definition: HasAccesses) -> UdsAccessDefinition:
    """The first access over UDS. Raises KeyError."""
    for access in definition.accesses:
        if isinstance(access, UdsAccessDefinition):
            return access
    raise KeyError("uds")


def _wire(bus: Bus, addressing: Addressing) -> str:
    rate = f"{bus.bitrate_bps // 1000}"
    if bus.data_bitrate_bps:
        rate += f"/{bus.data_bitrate_bps // 1000}"
    wire = "CAN FD" if bus.kind == "can-fd" else "CAN"
    digits = 8 if addressing.extended_ids else 3
    pair = f"{addressing.request_id:0{digits}X}/{addressing.response_id:0{digits}X}"
    return f"{wire} {rate} kbit/s, {addressing.mode} {pair}"
