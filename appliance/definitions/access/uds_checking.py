"""How the ECU proves its memory: which routine, what it is asked, what it answers, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from appliance.definitions.fields import HexBytes, Strict, Word, refuse
from appliance.definitions.memory import Region

HashKind = Literal["crc32", "crc16-ccitt-false", "crc16-xmodem", "crc16-arc", "crc16-kermit"]
"""CRC-32 of IEEE 802.3, and those of 16 bits by their usual names (check values of "123456789": CBF43926;
29B1, 31C3, BB3D, 2189). On the wire all are big-endian.
"""
Proof = Literal["hash", "crc16", "read_back", "status"]
Payload = Annotated[HexBytes, Field(min_length=2, max_length=1024)]

_HASHED = ("hash_range", "compare_range", "compare_block")
_BY_PAYLOAD = ("hash_range", "compare_range", "status")
_SPANNED = ("hash_range", "compare_range")
_BALANCED = {
    "crc32": frozenset({"crc32-at", "med17", "vw-dq250", "vw-dq381"}),
    "crc16-ccitt-false": frozenset({"crc16-at"}),
    "crc16-xmodem": frozenset({"crc16-at"}),
}
"""Checksum modules that keep the hash over content and checksum together the same."""


class BlockPayload(Strict):
    """What names one erase block to the checking routine, or every one of a region."""

    region: str
    """Name of the region."""
    start: int | None = Field(default=None, ge=0)
    """First address of the block; every block of the region where it is left out."""
    payload: Payload
    """What the routine gets for it."""


class Checking(Strict):
    """Routines by which the ECU proves its memory.

    `hash_range` gets format identifier, address and size as erasing by address does and answers a hash;
    `compare_range` gets the expected hash behind them and answers status 00 if they agree. `compare_block`
    gets `01 <block id> <length of the hash, 2 bytes> <hash>` and answers so too.
    `status` gets no hash of ours: the ECU calls its memory good, and nobody has compared it with anything.
    `steps` is a status too, asked for as the list `prove` says. Sources: uds-bytes.
    """

    routine: Word | None = None
    """Identifier of the routine."""
    style: Literal["hash_range", "compare_range", "compare_block", "status", "steps", "none"]
    """What the routine is asked, and what it answers."""
    hash_kind: HashKind = "crc32"
    """Which hash it is."""
    payload: Payload | None = None
    """In place of address and size, the same for every block: for `status` alone."""
    payloads: tuple[BlockPayload, ...] = Field(default=(), max_length=4096)
    """In place of address and size, by region or block."""
    status_bytes: int = Field(default=1, ge=1, le=64)
    """Length of the status record of all styles but `hash_range`: without a status nothing was checked."""
    hash_granularity: Literal["bytes", "sector"] = "bytes"
    """What `hash_range` and `compare_range` take: any span, or whole sectors alone."""
    after_each_block: bool = False
    """The routine is run right after each block was programmed, too; one that fails is programmed again."""
    dependencies_routine: Word | None = 0xFF01
    """Routine by which the ECU judges all its memory at the end of a write."""
    dependencies_status_bytes: int = Field(default=1, ge=0, le=64)
    """Length of its status record; 0 where the ECU answers without a status."""
    verify: Literal["hash", "read_back", "status"] = "hash"
    """What a block is proven by."""

    @property
    def method(self) -> Proof:
        """What a block that holds is proven by. A hash of 16 bits is called by its name."""
        return "crc16" if self.verify == "hash" and self.hash_kind != "crc32" else self.verify

    @property
    def compares(self) -> bool:
        """Whether memory is compared with what it should hold, not merely called good by the ECU."""
        return self.method != "status"

    @property
    def certain(self) -> bool:
        """Whether a block may be left alone on its word: one wrong content in 65,536 passes a CRC-16."""
        return self.method in ("hash", "read_back")

    @property
    def names_spans(self) -> bool:
        """Whether the routine is told an address and a size."""
        return self.style in (*_SPANNED, "status") and self.payload is None and not self.payloads

    def payload_of(self, region: str, start: int) -> bytes | None:
        """What names that block, None where its address and size do. Raises KeyError for a block without."""
        if self.payload is not None:
            return bytes.fromhex(self.payload)
        if not self.payloads:
            return None
        for one in self.payloads:
            if one.region == region and one.start in (None, start):
                return bytes.fromhex(one.payload)
        raise KeyError(f"{region} 0x{start:X}")

    @model_validator(mode="after")
    def _consistent(self) -> Checking:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if (self.style in ("none", "steps")) != (self.routine is None):
            yield "routine belongs to every style but 'none' and 'steps'"
        if self.hash_granularity == "sector" and self.style not in _SPANNED:
            yield "hash_granularity belongs to style 'hash_range' or 'compare_range'"
        if self.hash_kind != "crc32" and self.style not in _HASHED:
            yield "hash_kind belongs to a style with a hash"
        if self.verify == "hash" and self.style not in _HASHED:
            yield "verify = 'hash' needs a style that offers one"
        if self.verify == "status" and self.style not in ("status", "steps"):
            yield "verify = 'status' belongs to style 'status' or 'steps': any hash is the better proof"
        if self.after_each_block and self.style == "none":
            yield "after_each_block needs a routine"
        yield from self._payload_problems()

    def _payload_problems(self) -> Iterator[str]:
        if self.payload is not None and self.style != "status":
            yield "payload, the same for every block, belongs to style 'status'; a hash needs payloads"
        if self.payload is not None and self.payloads:
            yield "payload and payloads exclude each other"
        if self.payloads and self.style not in _BY_PAYLOAD:
            yield "payloads belong to style 'hash_range', 'compare_range' or 'status'"
        if self.payloads and self.style in _SPANNED and self.hash_granularity != "sector":
            yield "payloads name whole blocks: set hash_granularity = 'sector'"

    def misfits(self, regions: Sequence[Region], bootloader_reads: bool) -> Iterator[str]:
        """Why this table cannot prove those regions, or proves them worse than it could."""
        if bootloader_reads and not self.certain:
            yield (
                f"the bootloader reads, and a {'CRC-16' if self.compares else 'status'} proves less than "
                "that: set verify = 'read_back' (with after_each_block = true the routine is run besides)"
            )
        if self.payloads:
            yield from self._unnamed(regions)

    def _unnamed(self, regions: Sequence[Region]) -> Iterator[str]:
        wanted = {
            (region.name, sector.start)
            for region in regions
            if region.writable or self.compares
            for sector in region.sector_ranges()
        }
        known = {(region.name, sector.start) for region in regions for sector in region.sector_ranges()}
        names: dict[str, tuple[str, int]] = {}
        for one in self.payloads:
            meant = {block for block in known if block[0] == one.region and one.start in (None, block[1])}
            if not meant:
                yield f"payloads: no erase block of {one.region!r} is meant by {_place(one)}"
            if self.style in _HASHED and len(meant) > 1:
                yield f"payloads: {_place(one)} means {len(meant)} blocks, and a hash is of one"
            first = names.setdefault(one.payload.lower(), min(meant, default=("", 0)))
            if self.style in _HASHED and meant and first not in meant:
                yield f"payloads: {one.payload!r} means two blocks"
            wanted -= meant
        for name, start in sorted(wanted)[:1]:
            yield f"payloads: {len(wanted)} blocks have none, first {name!r} at 0x{start:X}"

    def blinded_by(self, module: str) -> bool:
        """Whether the hash over content and that module's checksum together is always the same."""
        return module in _BALANCED.get(self.hash_kind, frozenset())

    def blind_to(self, module: str, bootloader_reads: bool) -> Iterator[str]:
        """Why a whole block cannot be told from another by its hash (see `flashing/hash_blind_spots.py`)."""
        if self.verify != "hash" or not self.blinded_by(module):
            return
        kind = "CRC-32" if self.hash_kind == "crc32" else "CRC-16"
        if self.style == "compare_block":
            yield (
                f"{module!r} keeps the {kind} of every right block the same: compare_block cannot "
                "tell one from another: set checking.verify = 'read_back'"
            )
        if self.hash_granularity == "sector" and not bootloader_reads:
            yield (
                f"{module!r} keeps the {kind} of a right sector the same, so its value is read "
                "back besides: that needs reading.bootloader_reads = true, or checking.verify = 'read_back'"
            )


def _place(payload: BlockPayload) -> str:
    return payload.region if payload.start is None else f"start 0x{payload.start:X}"
