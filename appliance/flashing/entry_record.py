"""An entry in the journal: written down before a line moves, and told where a power cut ended it."""

from __future__ import annotations

from appliance.contract.catalogue import Phrase
from appliance.contract.entry_events import OVER, EntryOutcome, entry_event
from appliance.contract.events import Event
from appliance.contract.phrases import phrase
from appliance.flashing.journal import Journal


def write_down(journal: Journal, event: Event) -> None:
    """Durable on return, and told. Raises PitboxError."""
    with journal.events.change():
        journal.events.add(event)


def tell_cut_entry(journal: Journal) -> None:
    """At the start of the box nothing is switched on: an entry without an end was cut off."""
    last = journal.events.latest("entry")
    if last is None or last.get("outcome") in (None, *OVER):
        return
    behind = Phrase.read({**last, "text": last["what"]})
    what = phrase("entry.cut", behind=behind)
    journal.events.tell(entry_event(last["job_id"], last["access"], EntryOutcome.CUT, what))
