"""Payload transforms: what travels is not what is stored. Named by the definition, undone by the ECU.

Each takes pieces and gives pieces, so that a block is transformed while it is sent and no large block holds
the event loop up. The other direction exists in the simulator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
from appliance.definitions.access.transform import Transform
from appliance.protocols.transforms.bcb import bcb
from appliance.protocols.transforms.cipher import aes_cbc
from appliance.protocols.transforms.lzss import lzss

_PLAIN_PIECE_BYTES = 4096
SecretNamed = Callable[[str], bytes]
"""The owner's secret of that name. Raises PitboxError where it is missing."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes for the wire, and how many bytes of memory they are for."""

    memory_bytes: int
    wire: bytes


def none_supplied(name: str, definition: str | None = None, about: str | None = None) -> bytes:
    """For a box whose owner has supplied nothing. Raises PitboxError SECRET_MISSING."""
    missing = EngineError("SECRET_MISSING", secret=name)
    if definition is not None:
        missing = EngineError("SECRET_MISSING.of_definition", secret=name, definition=definition)
    if about is not None:
        missing.advise(phrase("advice.secret_is", author_text=about))
    raise missing


def payload(data: bytes, transforms: Sequence[Transform], secret: SecretNamed) -> Iterator[Piece]:
    """A block as it travels, piece by piece. Raises PitboxError for a missing secret, before the first."""
    stream: Iterator[tuple[int, bytes]] = _plain(data)
    for transform in transforms:
        stream = _applied(transform, stream, secret)
    return (Piece(*one) for one in stream)


def sliced(data: bytes, share: Callable[[], int]) -> Iterator[Piece]:
    """A block that travels as it is, in pieces of `share()` bytes."""
    at = 0
    while at < len(data):
        part = data[at : at + share()]
        yield Piece(len(part), part)
        at += len(part)


def messages(pieces: Iterable[Piece], share: Callable[[], int]) -> Iterator[Piece]:
    """The same in pieces of `share()` bytes, asked for each; the last is shorter."""
    waiting, memory_bytes = bytearray(), 0
    for piece in pieces:
        waiting += piece.wire
        memory_bytes += piece.memory_bytes
        while len(waiting) >= (size := share()):
            yield Piece(memory_bytes, bytes(waiting[:size]))
            del waiting[:size]
            memory_bytes = 0
    while waiting:
        size = share()
        yield Piece(memory_bytes, bytes(waiting[:size]))
        del waiting[:size]
        memory_bytes = 0


def _plain(data: bytes) -> Iterator[tuple[int, bytes]]:
    for at in range(0, len(data), _PLAIN_PIECE_BYTES):
        part = data[at : at + _PLAIN_PIECE_BYTES]
        yield len(part), part


def _applied(
    transform: Transform, stream: Iterator[tuple[int, bytes]], secret: SecretNamed
) -> Iterator[tuple[int, bytes]]:
    if transform.name == "lzss-10-6":
        return lzss(stream)
    if transform.name == "bcb-1":
        return bcb(stream, secret(transform.key or ""))
    return aes_cbc(stream, secret(transform.key or ""), secret(transform.iv or ""))
