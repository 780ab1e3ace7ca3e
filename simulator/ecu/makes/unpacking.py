"""Undoes LZSS (10 bits of distance, 6 of length) under a cipher, as the bytes come (sources: `vw-flash`)."""

from __future__ import annotations

from collections.abc import Callable

_WINDOW = 1024
_CIPHER_BYTES = 16


class CorruptError(Exception):
    """No encoder makes such a stream: it was enciphered with another key, or is not compressed at all."""


class Unpacker:
    """Gives `size` bytes in all; zeroes behind them fill the last cipher block."""

    def __init__(self, decipher: Callable[[bytes], bytes], size: int) -> None:
        self._decipher = decipher
        self._size = size
        self._waiting = bytearray()
        self._window = bytearray()
        self._flags: list[int] = []
        self._made = 0
        self._filled = 0

    def may_fill(self, count: int) -> bool:
        """Whether so many bytes may still come behind the content."""
        return self._made == self._size and self._filled + count < 2 * _CIPHER_BYTES

    def feed(self, data: bytes) -> bytes:
        """What these bytes add to the content. Raises CorruptError."""
        self._waiting += self._decipher(data)
        made = bytearray()
        while self._made < self._size and (token := self._token()) is not None:
            piece = self._resolved(token)
            made += piece
            self._made += len(piece)
        if self._made > self._size:
            raise CorruptError("more content than was announced")
        if self._made == self._size:
            self._filled += len(self._waiting)
            if any(self._waiting) or self._filled >= 2 * _CIPHER_BYTES:
                raise CorruptError("something other than filling behind the content")
            self._waiting.clear()
        return bytes(made)

    def _token(self) -> int | tuple[int, int] | None:
        """A literal byte, or (length, distance); None while it has not come."""
        if not self._flags:
            if not self._waiting:
                return None
            flags = self._waiting.pop(0)
            self._flags = [flags >> bit & 1 for bit in range(8)]
        is_run = self._flags[-1]
        if len(self._waiting) < 1 + is_run:
            return None
        self._flags.pop()
        if not is_run:
            return self._waiting.pop(0)
        word = int.from_bytes(self._waiting[:2], "big")
        del self._waiting[:2]
        return word >> 10, word & 0x3FF

    def _resolved(self, token: int | tuple[int, int]) -> bytes:
        start = len(self._window)
        if isinstance(token, int):
            self._window.append(token)
        else:
            length, distance = token
            if length < 3 or not 0 < distance <= start:
                raise CorruptError(f"a run of {length} from {distance} back")
            run = self._window[start - distance : start - distance + length]
            self._window += (run * (length // len(run) + 1))[:length]
        piece = bytes(self._window[start:])
        if len(self._window) > 8 * _WINDOW:
            del self._window[:-_WINDOW]
        return piece
