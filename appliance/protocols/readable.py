"""What ECUs answer in bytes, as people write it."""

from __future__ import annotations


def text(data: bytes) -> str:
    """Printable ASCII without padding; anything else as hex digits, never guessed at."""
    stripped = data.strip(b"\x00\xff ")
    if all(0x20 <= byte < 0x7F for byte in stripped):
        return stripped.decode("ascii")
    return data.hex().upper()


def fault_code(number: int) -> str:
    """Two DTC bytes (SAE J2012): 0x0301 is P0301, 0xC100 is U0100."""
    return f"{'PCBU'[number >> 14]}{number >> 12 & 0x3}{number & 0xFFF:03X}"
