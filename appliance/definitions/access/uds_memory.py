"""How memory is read, erased and written over UDS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from appliance.definitions.access.transform import Transform
from appliance.definitions.fields import Byte, HexBytes, Strict, Word, refuse

PLAIN_DATA = 0x00
"""The data format that says: neither compressed nor encrypted (ISO 14229-1, 14.2)."""


_CHAINS: tuple[list[str], ...] = ([], ["lzss-10-6"], ["aes-cbc"], ["lzss-10-6", "aes-cbc"])


class AddressSpace(Strict):
    """Where one of the ECU's memories lies among the addresses of requests.

    ISO 14229-1 lets an otherwise unused byte of memoryAddress be a memoryIdentifier, which tells memories
    with the same addresses apart: 0x01_0000_0000 is identifier 01 before an address of four bytes.
    """

    memory: str
    """Name of the memory."""
    offset: int = Field(ge=0, lt=1 << 40)
    """Added to its addresses in every request."""


class Reading(Strict):
    """How memory is read: 0x23 by address, or 0x35/0x36/0x37 upload."""

    method: Literal["by_address", "upload", "steps"]
    """By address (23) or by upload (35, 36, 37); with `steps` those say it."""
    block_bytes: int = Field(ge=16, le=0xFFFF)
    """Longest piece of memory asked for at once by 0x23; for an upload the longest TransferData message, its
    two header bytes included (0x75 may lower it)."""
    address_bytes: int = Field(default=4, ge=1, le=5)
    """Length of an address in the request."""
    size_bytes: int = Field(default=4, ge=1, le=4)
    """Length of a size in the request."""
    bootloader_reads: bool = False
    """True where the bootloader also serves reads, so that a read-back works after a failed write."""


class Erasing(Strict):
    """Erase routine (0x31 01): what names the memory.

    By address: format identifier, address and size as in the download (`44 <address> <size>`, also where the
    download goes by block id); by block id: a count of 1 and the id (`01 <id>`). Status 00 in the answer is
    success. Sources: uds-bytes.
    """

    routine: Word = 0xFF00
    """Identifier of the routine."""
    by: Literal["address", "block_id", "steps"]
    """What names the memory; with `steps` those say it."""
    in_place: tuple[str, ...] = ()
    """Regions that a download replaces without an erase; the ECU refuses to erase them."""
    status_bytes: int = Field(default=1, ge=0, le=64)
    """Length of the status record in the answer, of which the first byte is 00 for success; 0 where the ECU
    answers without a status."""


class Writing(Strict):
    """Download (0x34/0x36/0x37): addressing, data format and what precedes it.

    By block id the address is the one-byte id, so address_bytes is 1.
    """

    by: Literal["address", "block_id", "steps"]
    """What names the memory; with `steps` those say it."""
    data_format: Byte = 0x00
    """As the ECU numbers the transforms; 0x00 where there is none."""
    transforms: tuple[Transform, ...] = Field(default=(), max_length=2)
    """What is done to a block before it travels, in this order."""
    announces: Literal["memory", "wire"] = "memory"
    """Which length 34 announces: that in memory, or that of what travels."""
    address_bytes: int = Field(default=4, ge=1, le=5)
    """Length of an address in the request."""
    size_bytes: int = Field(default=4, ge=1, le=4)
    """Length of a size in the request."""
    block_bytes: int | None = Field(default=None, ge=16, le=0xFFFF)
    """Longest TransferData message, its two header bytes included; the ECU's own maximum applies besides."""
    fingerprint_did: Word | None = None
    """Identifier to which a fingerprint is written before the first block."""
    fingerprint: HexBytes | None = None
    """What is written there."""

    @model_validator(mode="after")
    def _consistent(self) -> Writing:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if self.data_format != PLAIN_DATA and not self.transforms:
            yield (
                f"data_format 0x{self.data_format:02X} is not implemented without transforms: which compress "
                "and encrypt it, in which order?"
            )
        if self.transforms and self.data_format == PLAIN_DATA:
            yield "data_format 0x00 says that nothing is transformed, and transforms are given"
        if [one.name for one in self.transforms] not in _CHAINS:
            yield "transforms are 'lzss-10-6', 'aes-cbc', or both in this order: what is enciphered is random"
        if self.announces == "wire" and not self.transforms:
            yield "announces = 'wire' belongs to transforms: without them both lengths are the same"
        if (self.fingerprint_did is None) != (self.fingerprint is None):
            yield "fingerprint_did and fingerprint go together"
        if self.by == "block_id" and self.address_bytes != 1:
            yield "address_bytes is 1 where by = 'block_id': the block id stands in its place"
