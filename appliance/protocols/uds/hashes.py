"""The hashes that checking routines speak (check values over "123456789": `HashKind`)."""

from __future__ import annotations

import binascii
import zlib

from appliance.definitions.access.uds_checking import HashKind

_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_REFLECTED_8005 = 0xA001


def hash_of(kind: HashKind, data: bytes) -> bytes:
    """The hash as it stands on the wire, big-endian."""
    match kind:
        case "crc32":
            return zlib.crc32(data).to_bytes(4)
        case "crc16-ccitt-false":
            return binascii.crc_hqx(data, 0xFFFF).to_bytes(2)
        case "crc16-xmodem":
            return binascii.crc_hqx(data, 0).to_bytes(2)
        case "crc16-kermit":
            return _mirrored(binascii.crc_hqx(data.translate(_MIRRORED), 0)).to_bytes(2)
        case "crc16-arc":
            return _arc(data).to_bytes(2)


def _mirrored(word: int) -> int:
    return _MIRRORED[word & 0xFF] << 8 | _MIRRORED[word >> 8]


def _arc_entry(index: int) -> int:
    for _ in range(8):
        index = index >> 1 ^ (_REFLECTED_8005 if index & 1 else 0)
    return index


_ARC_TABLE = tuple(map(_arc_entry, range(256)))


def _arc(data: bytes) -> int:
    register = 0
    for byte in data:
        register = register >> 8 ^ _ARC_TABLE[(register ^ byte) & 0xFF]
    return register
