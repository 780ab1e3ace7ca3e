"""Linear algebra over GF(2): the four bytes that bring a CRC-32 to a wanted value."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.checksums.crc import Bytes, crc32_register


def solve(columns: Sequence[int], target: int) -> int | None:
    """Return x whose set bits pick columns that XOR to `target`; None where no choice does."""
    basis: dict[int, tuple[int, int]] = {}
    for index, column in enumerate(columns):
        vector, picked = _reduced(basis, column, 1 << index)
        if vector:
            basis[vector.bit_length()] = (vector, picked)
    rest, chosen = _reduced(basis, target, 0)
    return None if rest else chosen


def _reduced(basis: dict[int, tuple[int, int]], vector: int, picked: int) -> tuple[int, int]:
    """Eliminate the leading bits of `vector` that the basis covers."""
    for length in sorted(basis, reverse=True):
        if vector.bit_length() == length:
            vector ^= basis[length][0]
            picked ^= basis[length][1]
    return vector, picked


def crc32_adjustment(data: Bytes, adjust_at: int, init: int, target: int) -> int:
    """Return the little-endian dword that, put at `adjust_at`, makes the CRC register end at `target`.

    The register is linear in those 32 bits: each bit's effect is its CRC, from a zero register,
    through the bytes that follow. A CRC-32 loses nothing, so there is always exactly one answer.
    """
    tail = bytes(len(data) - adjust_at - 4)
    effects = [crc32_register((1 << bit).to_bytes(4, "little") + tail, 0) for bit in range(32)]
    blanked = bytes(data[:adjust_at]) + bytes(4) + bytes(data[adjust_at + 4 :])
    answer = solve(effects, crc32_register(blanked, init) ^ target)
    if answer is None:
        raise ArithmeticError("the 32 effects of a CRC-32 dword are always independent")
    return answer
