"""Hashes as a simulated ECU computes them: bit by bit from their parameters, apart from the host's."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache

from appliance.definitions.access.uds_checking import HashKind


@dataclass(frozen=True, slots=True)
class Crc16:
    """Polynomial and start value; `reflected` says that the lowest bit of each byte comes first."""

    polynomial: int
    start: int
    reflected: bool


_KINDS: dict[HashKind, Crc16] = {
    "crc16-ccitt-false": Crc16(0x1021, 0xFFFF, False),
    "crc16-xmodem": Crc16(0x1021, 0x0000, False),
    "crc16-kermit": Crc16(0x8408, 0x0000, True),
    "crc16-arc": Crc16(0xA001, 0x0000, True),
}


def hash_of(kind: HashKind, data: bytes) -> bytes:
    """Big-endian."""
    if kind == "crc32":
        return zlib.crc32(data).to_bytes(4, "big")
    crc, table = _KINDS[kind], _table(kind)
    register = crc.start
    for byte in data:
        if crc.reflected:
            register = register >> 8 ^ table[(register ^ byte) & 0xFF]
        else:
            register = (register << 8 & 0xFFFF) ^ table[register >> 8 ^ byte]
    return register.to_bytes(2, "big")


@cache
def _table(kind: HashKind) -> tuple[int, ...]:
    crc = _KINDS[kind]
    return tuple(_entry(crc, index) for index in range(256))


def _entry(crc: Crc16, index: int) -> int:
    register = index if crc.reflected else index << 8
    for _ in range(8):
        if crc.reflected:
            register = register >> 1 ^ (crc.polynomial if register & 1 else 0)
        else:
            register = (register << 1 & 0xFFFF) ^ (crc.polynomial if register & 0x8000 else 0)
    return register
