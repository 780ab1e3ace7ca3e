"""Status records of routines. How long each has to be is the definition's promise."""

from __future__ import annotations

from appliance.contract.phrases import phrase
from appliance.protocols.access import EcuRefusedError, Refusal

_CORRECT = 0x00


def succeeded(record: bytes) -> bool:
    """A record that begins with 00 = correct result (sources: uds-sequence); an empty one says nothing."""
    return record[:1] == bytes((_CORRECT,))


def require_success(record: bytes, key: str) -> None:
    """Raises EcuRefusedError PROGRAMMING for a routine that ran and reports failure.

    `key` is that of the phrase that says so. An empty record is what a definition promises whose ECU answers
    without a status.
    """
    if record and not succeeded(record):
        raise EcuRefusedError(Refusal.PROGRAMMING, phrase(key, record=record.hex().upper()))


def require_preconditions(record: bytes) -> None:
    """Raises EcuRefusedError CONDITIONS where a record lists conditions that are not met."""
    if any(record):
        unmet = record.hex().upper()
        raise EcuRefusedError(Refusal.CONDITIONS, phrase("ecu.conditions_named", unmet=unmet))
