"""Intel HEX and S-record as runs of bytes, in a time that grows with the file and not with its disorder."""

from __future__ import annotations

from collections.abc import Iterator

_DATA, _END, _SEGMENT, _LINEAR = 0, 1, 2, 4
_STARTS = (3, 5)
"""Where a program begins: of no meaning here."""
_SEGMENT_SHIFT, _LINEAR_SHIFT = 4, 16
_S_DATA, _S_OTHER = "123", "056789"


def runs_of(text: str) -> list[tuple[int, bytes]]:
    """Runs of bytes with their start addresses, ascending; runs that touch are one.

    `ValueError` for a record that is not whole, and for an address that is given twice.
    """
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    pieces = _intel(lines) if lines and lines[0].startswith(":") else _motorola(lines)
    return _joined(sorted(pieces))


def _joined(pieces: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    runs: list[tuple[int, bytearray]] = []
    for address, data in pieces:
        end = runs[-1][0] + len(runs[-1][1]) if runs else -1
        if address < end:
            raise ValueError(f"address 0x{address:08X} is given twice")
        if address == end:
            runs[-1][1].extend(data)
        else:
            runs.append((address, bytearray(data)))
    return [(start, bytes(data)) for start, data in runs]


def _intel(lines: list[str]) -> Iterator[tuple[int, bytes]]:
    """`:` length, 16-bit address, type, data; all bytes with their check byte add up to 0."""
    base = {_SEGMENT: 0, _LINEAR: 0}
    for line in lines:
        record = _bytes_of(line, ":", 1)
        if len(record) < 5 or record[0] != len(record) - 5 or sum(record) & 0xFF:
            raise ValueError(f"the record {line[:20]!r} is damaged")
        kind, data = record[3], record[4:-1]
        if kind == _DATA and data:
            yield int.from_bytes(record[1:3]) + sum(base.values()), data
        elif kind == _SEGMENT and len(data) == 2:
            base[_SEGMENT] = int.from_bytes(data) << _SEGMENT_SHIFT
        elif kind == _LINEAR and len(data) == 2:
            base[_LINEAR] = int.from_bytes(data) << _LINEAR_SHIFT
        elif kind not in (_DATA, _END, *_STARTS):
            raise ValueError(f"the record {line[:20]!r} is of no known type")


def _motorola(lines: list[str]) -> Iterator[tuple[int, bytes]]:
    """`S`, type, length, address of 2 to 4 bytes, data; all bytes with their check byte add up to 0xFF."""
    for line in lines:
        record, kind = _bytes_of(line, "S", 2), line[1:2]
        if len(record) < 3 or record[0] != len(record) - 1 or sum(record) & 0xFF != 0xFF:
            raise ValueError(f"the record {line[:20]!r} is damaged")
        if kind in _S_DATA:
            behind = 2 + int(kind)
            if len(record) <= behind:
                raise ValueError(f"the record {line[:20]!r} is too short")
            if len(record) > behind + 1:
                yield int.from_bytes(record[1:behind]), record[behind:-1]
        elif kind not in _S_OTHER:
            raise ValueError(f"the record {line[:20]!r} is of no known type")


def _bytes_of(line: str, mark: str, behind: int) -> bytes:
    if not line.startswith(mark):
        raise ValueError(f"the line {line[:20]!r} does not begin with {mark!r}")
    return bytes.fromhex(line[behind:])
