"""What lies in a stored or signed file: cut into segments, put together again, hashed and wiped."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from cryptography.hazmat.primitives.hashes import SHA256, Hash

from appliance.contract.places import Range, Start
from appliance.contract.records import SEGMENT_MAX_BYTES, Region, Segment

Content: TypeAlias = bytes | bytearray | memoryview
"""What is to be stored or signed: looked at, never changed."""
_ZEROS = bytes(64 * 1024)


def new_file_id() -> str:
    """A fresh id for an image or a tuned file."""
    return str(uuid.uuid4())


def new_sha256() -> Hash:
    """A SHA-256 to `update` with what is large, by the one OpenSSL that the engine loads."""
    return Hash(SHA256())


def sha256_hex(*parts: Content) -> str:
    """SHA-256 of one after the other, as 64 lower-case hex digits."""
    digest = new_sha256()
    for part in parts:
        digest.update(part)
    return digest.finalize().hex()


def content_sha256(contents: Mapping[Start, Content]) -> str:
    """Hash of an image: SHA-256 over its regions' bytes, by memory and address, nothing between them."""
    return sha256_hex(*(contents[at] for at in sorted(contents)))


def split(at: Start, content: Content) -> Iterator[tuple[Range, bytes]]:
    """Cut what begins there into pieces of at most SEGMENT_MAX_BYTES."""
    whole = Range(*at, len(content))
    for offset in range(0, len(content), SEGMENT_MAX_BYTES):
        yield whole.part(offset, SEGMENT_MAX_BYTES), bytes(content[offset : offset + SEGMENT_MAX_BYTES])


def assemble(
    regions: Sequence[Region], segments: Sequence[Segment], read: Callable[[Segment], bytes]
) -> dict[Start, bytearray]:
    """Put the plaintext of complete `segments` together by region; wiped again when `read` raises."""
    contents = {region.place.at: bytearray(region.place.length) for region in regions}
    try:
        for segment in segments:
            home = next(region.place for region in regions if region.place.contains(segment.place))
            offset = segment.place.start - home.start
            contents[home.at][offset : offset + segment.place.length] = read(segment)
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
