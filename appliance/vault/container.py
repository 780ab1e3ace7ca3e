"""The container of a package: a ZIP of stored members of which every byte is determined by their contents.

The layout is what Python's `zipfile` writes for stored members dated 1980-01-01 with mode 0600 (APPNOTE.TXT
4.3.7, 4.3.12, 4.3.16). The reader rebuilds each header from the member it describes and compares, so there
are no gaps, comments, links, encryption or compression for anything to hide in, and nothing grows when read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

MEMBERS_MAX = 1024
NAME_MAX_BYTES = 96

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION = 20
_DATE_1980_01_01 = 0x21
_MADE_ON_UNIX = 3 << 8 | _VERSION
_MODE_0600 = 0o600 << 16


@dataclass(frozen=True, slots=True)
class Member:
    """One stored file of a container; `offset` is where its local header starts."""

    name: str
    crc32: int
    size: int
    offset: int

    @property
    def data_offset(self) -> int:
        """Where its bytes start."""
        return self.offset + _LOCAL.size + len(self.name)

    def local_header(self) -> bytes:
        """The header in front of its bytes."""
        fields = (_VERSION, 0, 0, 0, _DATE_1980_01_01, self.crc32, self.size, self.size, len(self.name), 0)
        return _LOCAL.pack(b"PK\3\4", *fields) + self.name.encode()

    def central_header(self) -> bytes:
        """Its entry in the central directory."""
        dated = (_MADE_ON_UNIX, _VERSION, 0, 0, 0, _DATE_1980_01_01)
        sized = (self.crc32, self.size, self.size, len(self.name))
        return (
            _CENTRAL.pack(b"PK\1\2", *dated, *sized, 0, 0, 0, 0, _MODE_0600, self.offset) + self.name.encode()
        )


def pack(file: BinaryIO, contents: Iterable[tuple[str, bytes]]) -> None:
    """Write the container with these (name, bytes) members in this order; no two are in memory at once."""
    members, offset = [], 0
    for name, data in contents:
        member = Member(name, zlib.crc32(data), len(data), offset)
        file.write(member.local_header())
        file.write(data)
        offset = member.data_offset + len(data)
        members.append(member)
    file.write(_directory(members, offset))


def _directory(members: list[Member], offset: int) -> bytes:
    directory = b"".join(member.central_header() for member in members)
    count = len(members)
    return directory + _END.pack(b"PK\5\6", 0, 0, count, count, len(directory), offset, 0)


def list_members(file: BinaryIO, size_bytes: int) -> Mapping[str, Member]:
    """The members of a container of `size_bytes`, by name; `ValueError` unless it is as `pack` writes it.

    Reads the directory and the local headers, not the members' bytes, and at most MEMBERS_MAX entries.
    """
    directory_offset, count = _read_end(file, size_bytes)
    directory = _read(file, directory_offset, size_bytes - directory_offset)
    members = _parse_directory(directory, count)
    if _directory(members, directory_offset) != directory:
        raise ValueError("its directory is not as the packer writes it")
    _check_contiguous(file, members, directory_offset)
    by_name = {member.name: member for member in members}
    if len(by_name) != count:
        raise ValueError("two members have one name")
    return by_name


def read_member(file: BinaryIO, member: Member) -> bytes:
    """The bytes of a member; `ValueError` when they are cut short or do not match its CRC-32."""
    data = _read(file, member.data_offset, member.size)
    if zlib.crc32(data) != member.crc32:
        raise ValueError(f"member {member.name} is damaged")
    return data


def _read_end(file: BinaryIO, size_bytes: int) -> tuple[int, int]:
    if size_bytes < _END.size:
        raise ValueError("it is too short")
    end = _END.unpack(_read(file, size_bytes - _END.size, _END.size))
    signature, count, directory_size, directory_offset = end[0], end[4], end[5], end[6]
    if signature != b"PK\5\6" or directory_offset + directory_size + _END.size != size_bytes:
        raise ValueError("its end is missing: it is truncated or not a package")
    if count > MEMBERS_MAX or directory_size > count * (_CENTRAL.size + NAME_MAX_BYTES):
        raise ValueError(f"it has more than {MEMBERS_MAX} members or overlong names")
    return directory_offset, count


def _parse_directory(directory: bytes, count: int) -> list[Member]:
    members = []
    position = 0
    for _ in range(count):
        if position + _CENTRAL.size > len(directory):
            raise ValueError("its directory is cut short")
        fields = _CENTRAL.unpack_from(directory, position)
        crc32, size, name_length, offset = fields[7], fields[9], fields[10], fields[16]
        position += _CENTRAL.size
        name = directory[position : position + name_length].decode("ascii")
        position += name_length
        members.append(Member(name, crc32, size, offset))
    return members


def _check_contiguous(file: BinaryIO, members: list[Member], directory_offset: int) -> None:
    position = 0
    for member in members:
        if member.offset != position:
            raise ValueError(f"member {member.name} overlaps another or leaves a gap")
        header = member.local_header()
        if position + len(header) > directory_offset or _read(file, position, len(header)) != header:
            raise ValueError(f"member {member.name} has a header that does not match the directory")
        position = member.data_offset + member.size
    if position != directory_offset:
        raise ValueError("there are bytes that belong to no member")


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    data = file.read(length)
    if len(data) != length:
        raise ValueError("it is cut short")
    return data
