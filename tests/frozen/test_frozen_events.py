"""Events that released builds wrote down are told in the types of today."""

from __future__ import annotations

from pathlib import Path

from appliance.contract.checked import checked
from appliance.contract.told import EventPage
from appliance.flashing.journal import Journal
from appliance.vault import key_files as keyring
from tests.frozen.thaw import FROZEN, thaw


def test_every_frozen_event_can_be_read(tmp_path: Path) -> None:
    kinds: set[str] = set()
    for name in FROZEN:
        state = thaw(name, tmp_path / name.replace("/", "-")).state
        keys = keyring.load(state / "keys")
        journal = Journal(state / "journal.db", lambda: 0.0, keys.record_mac)
        events = journal.events.between(0, journal.events.head, 100_000)
        journal.close()
        checked(EventPage, {"events": events, "after": 0, "last": 0, "more": False})
        kinds |= {event["kind"] for event in events}
    assert kinds >= {"state", "step", "progress", "gates"} and "damaged" not in kinds
