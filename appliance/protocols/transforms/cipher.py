"""AES in CBC mode over a whole block, with the owner's key (sources: `vw-flash`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

_BLOCK_BYTES = 16


def aes_cbc(stream: Iterator[tuple[int, bytes]], key: bytes, iv: bytes) -> Iterator[tuple[int, bytes]]:
    """One run over the whole stream, filled up with zeroes to a whole number of cipher blocks."""
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return _enciphered(stream, encryptor.update)


def _enciphered(
    stream: Iterator[tuple[int, bytes]], update: Callable[[bytes], bytes]
) -> Iterator[tuple[int, bytes]]:
    total = 0
    for memory_bytes, part in stream:
        total += len(part)
        yield memory_bytes, update(part)
    if padding := -total % _BLOCK_BYTES:
        yield 0, update(bytes(padding))
