"""What a stored or signed file says about itself: identity, regions, segments, and how they must fit."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated

import rfc8785
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass

SEGMENT_MAX_BYTES = 256 * 1024
SEAL_OVERHEAD_MAX_BYTES = 4096
"""Room for an age header with a few recipients, its random grease stanza and the chunk tags."""
_ZEROS = bytes(64 * 1024)
IMAGE_MAX_BYTES = 32 * 1024 * 1024
ADDRESS_SPACE = 1 << 32

_STRICT = ConfigDict(extra="forbid", strict=True)


def _is_uuid(text: str) -> str:
    if str(uuid.UUID(text)) != text:
        raise ValueError("not a UUID in lower case with dashes")
    return text


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileId = Annotated[str, AfterValidator(_is_uuid)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Address = Annotated[int, Field(ge=0, lt=ADDRESS_SPACE)]


class Record(BaseModel):
    """A frozen JSON record that refuses unknown fields and wrong types."""

    model_config = ConfigDict(**_STRICT, frozen=True)

    def canonical(self) -> bytes:
        """The record as RFC 8785 canonical JSON, the form that is signed and hashed."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    def stated(self) -> dict[str, object]:
        """The keys its writer stated, in JSON's types, without those that this build would add by default."""
        return self.model_dump(mode="json", exclude_unset=True)


class EcuIdentity(Record):
    """Which ECU a file belongs to; `vin_hmac` is the box's keyed hash of the VIN (`KeyRing.vin_hmac`)."""

    hw: Name
    sw: Name
    boot: Name | None = None
    vin_hmac: Sha256 | None = None


class Region(Record):
    """A named range of an ECU's memory; `size` in bytes."""

    name: Name
    start: Address
    size: Annotated[int, Field(ge=1, le=IMAGE_MAX_BYTES)]

    @property
    def end(self) -> int:
        """First address behind the region."""
        return self.start + self.size


@dataclass(frozen=True, slots=True, config=_STRICT)
class Segment:
    """One sealed object: where its plaintext belongs and the hashes and lengths (bytes) of both forms."""

    address: Address
    length: Annotated[int, Field(ge=1, le=SEGMENT_MAX_BYTES)]
    pt_sha256: Sha256
    ct_sha256: Sha256
    ct_len: Annotated[int, Field(ge=1, le=SEGMENT_MAX_BYTES + SEAL_OVERHEAD_MAX_BYTES)]

    @property
    def end(self) -> int:
        """First address behind the segment."""
        return self.address + self.length


def new_file_id() -> str:
    """A fresh id for an image or a tuned file."""
    return str(uuid.uuid4())


def sha256_hex(data: bytes | bytearray) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def content_sha256(contents: Mapping[int, bytes | bytearray]) -> str:
    """Hash of an image: SHA-256 over its regions' bytes, lowest start address first, nothing between them."""
    digest = hashlib.sha256()
    for start in sorted(contents):
        digest.update(contents[start])
    return digest.hexdigest()


def parse_canonical(data: bytes) -> object:
    """JSON value of `data`, which must be in its RFC 8785 form; `ValueError` otherwise.

    Refusing every other spelling leaves no room for doubled keys or for two readers that disagree.
    """
    try:
        value: object = json.loads(data)
        canonical = rfc8785.dumps(value)  # type: ignore[arg-type]
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error
    if canonical != data:
        raise ValueError("JSON is not in canonical form")
    return value


def split(start: int, content: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    """Cut a region into (address, bytes) pieces of at most SEGMENT_MAX_BYTES."""
    for offset in range(0, len(content), SEGMENT_MAX_BYTES):
        yield start + offset, bytes(content[offset : offset + SEGMENT_MAX_BYTES])


def check_layout(regions: Sequence[Region], segments: Sequence[Segment]) -> None:
    """`ValueError` when regions share a name or bytes, segments overlap, or one lies outside its region."""
    if len({region.name for region in regions}) != len(regions):
        raise ValueError("two regions have one name")
    if sum(region.size for region in regions) > IMAGE_MAX_BYTES:
        raise ValueError(f"regions together exceed {IMAGE_MAX_BYTES} bytes")
    _refuse_overlap("regions", [(region.start, region.end) for region in regions])
    _refuse_overlap("segments", [(segment.address, segment.end) for segment in segments])
    for segment in segments:
        if not any(r.start <= segment.address and segment.end <= r.end for r in regions):
            raise ValueError(f"segment at 0x{segment.address:08X} is not inside one region")


def _refuse_overlap(what: str, spans: list[tuple[int, int]]) -> None:
    for (_, end), (start, _) in pairwise(sorted(spans)):
        if start < end:
            raise ValueError(f"{what} overlap at 0x{start:08X}")


def gaps(regions: Sequence[Region], segments: Sequence[Segment]) -> tuple[tuple[int, int], ...]:
    """The (start, end) ranges of the regions that no segment holds: what a resumed read still has to read."""
    return tuple(
        gap for region in sorted(regions, key=lambda r: r.start) for gap in _gaps_in(region, segments)
    )


def _gaps_in(region: Region, segments: Sequence[Segment]) -> Iterator[tuple[int, int]]:
    position = region.start
    inside = (s for s in segments if region.start <= s.address < region.end)
    for segment in sorted(inside, key=lambda s: s.address):
        if segment.address > position:
            yield position, segment.address
        position = segment.end
    if position < region.end:
        yield position, region.end


def assemble(
    regions: Sequence[Region], segments: Sequence[Segment], read: Callable[[Segment], bytes]
) -> dict[int, bytearray]:
    """Put the plaintext of complete `segments` together per region start; wiped again when `read` raises."""
    contents = {region.start: bytearray(region.size) for region in regions}
    try:
        for segment in segments:
            start = max(s for s in contents if s <= segment.address)
            offset = segment.address - start
            contents[start][offset : offset + segment.length] = read(segment)
    except BaseException:
        wipe(*contents.values())
        raise
    return contents


def wipe(*buffers: bytearray) -> None:
    """Overwrite plaintext with zeros. Best effort: copies Python made on the way are out of reach."""
    for buffer in buffers:
        for at in range(0, len(buffer), len(_ZEROS)):
            piece = min(len(_ZEROS), len(buffer) - at)
            buffer[at : at + piece] = _ZEROS[:piece]
