"""What an engine that does not start tells of the ECU: its journal is asked all the same."""

from __future__ import annotations

import time
from pathlib import Path

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.flashing.journal import Journal
from appliance.flashing.safety import tell_safety
from appliance.vault import key_files


def tell_safety_unstarted(error: PitboxError, state_dir: Path) -> None:
    """Fill in whether the ECU is safe. The caller holds the state directory's lock."""
    path = state_dir / "journal.db"
    if not path.exists():
        if not (state_dir / "keys").exists():
            error.ecu = EcuSafety.UNTOUCHED  # a box that never worked never wrote
        return
    try:
        journal = Journal(path, time.time, key_files.load(state_dir / "keys").record_mac)
    except PitboxError:  # a journal or keys that cannot be read: unknown, as the error says already
        return
    try:
        tell_safety(error, journal, None)
    finally:
        journal.close()
