"""Algorithms that guard nothing: they belong to simulated ECUs only.

All work on the first four seed bytes as one big-endian number and answer four bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

_MASK = 0xFFFF_FFFF


def _xor(seed: int, constant: int) -> int:
    return seed ^ constant


def _add(seed: int, constant: int) -> int:
    return seed + constant & _MASK


def _rotate(seed: int, constant: int) -> int:
    return (seed << 7 & _MASK | seed >> 25) ^ constant


TOYS: Mapping[str, Callable[[int, int], int]] = {"toy-xor": _xor, "toy-add": _add, "toy-rotate": _rotate}
"""toy-xor: seed ^ constant. toy-add: (seed + constant) mod 2^32. toy-rotate: rotl(seed, 7) ^ constant."""


def toy_key(name: str, constant: int, seed: bytes) -> bytes:
    """The key of the toy algorithm `name`. Raises KeyError for any other."""
    return TOYS[name](int.from_bytes(seed[:4]), constant).to_bytes(4)
