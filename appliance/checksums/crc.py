"""The cyclic redundancy checks the families are made of (check values; sources: crc)."""

from __future__ import annotations

import binascii
import zlib

Bytes = bytes | bytearray | memoryview
_ONES = 0xFFFFFFFF
_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def _arc_entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (0xA001 if index & 1 else 0)
    return index


_ARC_TABLE = tuple(_arc_entry(index) for index in range(256))


def crc32(data: Bytes, previous: int = 0) -> int:
    """CRC-32 IEEE; `previous` continues an earlier CRC-32 (check value CBF43926)."""
    return zlib.crc32(data, previous)


def crc32_register(data: Bytes, init: int) -> int:
    """Shift register of the reflected CRC-32 from `init`, without the final inversion."""
    return zlib.crc32(data, init ^ _ONES) ^ _ONES


def jamcrc(data: Bytes) -> int:
    """CRC-32 without the final inversion (check value 340BC6D9)."""
    return crc32_register(data, _ONES)


def crc32_unreflected(data: Bytes) -> int:
    """CRC of polynomial 04C11DB7, first bit first, init 0, no inversion (check value 89A1897F).

    Mirroring every byte and the result turns it into the reflected CRC that zlib computes in C.
    """
    mirrored = crc32_register(bytes(data).translate(_MIRRORED), 0)
    return int(f"{mirrored:032b}"[::-1], 2)


def crc16_ccitt(data: Bytes, init: int = 0xFFFF) -> int:
    """CRC-16/CCITT-FALSE, polynomial 1021 (check value 29B1)."""
    return binascii.crc_hqx(data, init)


def crc16_arc(data: Bytes, init: int = 0) -> int:
    """CRC-16/ARC, polynomial 8005 reflected (check value BB3D)."""
    register = init
    for byte in data:
        register = (register >> 8) ^ _ARC_TABLE[(register ^ byte) & 0xFF]
    return register
