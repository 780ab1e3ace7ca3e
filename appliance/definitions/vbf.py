"""The container in which makers hand out loaders: a text header, blocks, a CRC each (sources: `vbf`)."""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"vbf_version"
_MOST_HEADER_BYTES = 64 * 1024
_MOST_BLOCKS = 256
_PREFIX_BYTES = 8
_CRC_BYTES = 2
_FIELD = re.compile(r"(?P<name>[a-z_]+)\s*=\s*(?P<value>[^;{}]*);")


@dataclass(frozen=True, slots=True)
class VbfBlock:
    """Bytes and where they go."""

    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class VbfFile:
    """A container whose sums are right."""

    fields: dict[str, str]
    """Of the header, but for its lists."""
    blocks: tuple[VbfBlock, ...]

    @property
    def call(self) -> int | None:
        """Where a loader is started."""
        told = self.fields.get("call") or self.fields.get("jmp") or self.fields.get("jsr")
        return None if told is None else _number("call", told)


def parse_vbf(content: bytes) -> VbfFile:
    """Raises ValueError with what is wrong: no container, cut short, a sum that does not fit."""
    if not content.startswith(MAGIC):
        raise ValueError("is no VBF container: it does not begin with vbf_version")
    end = _end_of_header(content)
    text = re.sub(r"//[^\n]*", "", content[:end].decode("ascii", "replace"))
    fields = {found["name"]: found["value"].strip().strip('"') for found in _FIELD.finditer(text)}
    body = content[end:]
    blocks = tuple(_blocks(body))
    if not blocks:
        raise ValueError("has no block behind its header")
    if "file_checksum" not in fields:
        raise ValueError("its header tells no file_checksum")
    if zlib.crc32(body) != _number("file_checksum", fields["file_checksum"]):
        raise ValueError("its file_checksum is not that of its blocks")
    return VbfFile(fields, blocks)


def why_no_loader(content: bytes) -> str | None:
    """Why a container cannot be loaded to RAM and started."""
    try:
        found = parse_vbf(content)
        call = found.call
    except ValueError as error:
        return str(error)
    if found.fields.get("sw_part_type") != "SBL":
        return f"is of sw_part_type {found.fields.get('sw_part_type')!r}, and a loader is SBL"
    if call is None:
        return "does not tell where its loader is started (call)"
    if int(found.fields.get("data_format_identifier", "0"), 0):
        return f"has the data format {found.fields['data_format_identifier']}, and only 0x00 is implemented"
    return None


def _end_of_header(content: bytes) -> int:
    """First byte behind the closing brace of `header { ... }`."""
    depth = 0
    for at, byte in enumerate(content[:_MOST_HEADER_BYTES]):
        if byte == ord("{"):
            depth += 1
        elif byte == ord("}"):
            depth -= 1
            if depth == 0:
                return at + 1
    raise ValueError("its header does not end: the file is cut short, or no VBF container")


def _blocks(body: bytes) -> Iterator[VbfBlock]:
    at, count = 0, 0
    while at < len(body):
        count += 1
        if count > _MOST_BLOCKS:
            raise ValueError(f"has more than {_MOST_BLOCKS} blocks")
        address, size = (int.from_bytes(body[at + part : at + part + 4]) for part in (0, 4))
        start, stop = at + _PREFIX_BYTES, at + _PREFIX_BYTES + size
        if not size or stop + _CRC_BYTES > len(body):
            raise ValueError(f"its block {count} is cut short")
        data = body[start:stop]
        if binascii.crc_hqx(data, 0xFFFF) != int.from_bytes(body[stop : stop + _CRC_BYTES]):
            raise ValueError(f"the CRC of its block {count}, at 0x{address:X}, is wrong")
        yield VbfBlock(address, data)
        at = stop + _CRC_BYTES


def _number(name: str, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError as error:
        raise ValueError(f"its {name} is {text!r}, which is no number") from error
