"""Status records of routines."""

from __future__ import annotations

from appliance.protocols.access import EcuRefusedError, Refusal

_CORRECT = 0x00


def succeeded(record: bytes) -> bool:
    """An empty record, or one that begins with 00 = correct result (sheet 2.1)."""
    return not record or record[0] == _CORRECT


def require_success(record: bytes, what: str) -> None:
    """Raises EcuRefusedError PROGRAMMING for a routine that ran and reports failure."""
    if not succeeded(record):
        raise EcuRefusedError(Refusal.PROGRAMMING, f"{what} failed with status {record.hex().upper()}")
