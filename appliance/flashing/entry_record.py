"""An entry in the journal: written down before a line moves, and told where a power cut ended it."""

from __future__ import annotations

from appliance.contract.catalogue import Phrase
from appliance.contract.entry_events import OVER, EntryOutcome, entry_event
from appliance.contract.events import AlarmEvent, Event
from appliance.contract.phrases import phrase
from appliance.flashing.entry_actions import EntryPorts, make_safe
from appliance.flashing.journal import Journal
from appliance.protocols.port_missing import PortMissingError

LEFT_ON = frozenset({"entry.supply_kept", "entry.supply_on"})
"""How an entry is told to have ended that left the supply on."""


def write_down(journal: Journal, event: Event) -> None:
    """Durable on return, and told. Raises PitboxError."""
    with journal.events.change():
        journal.events.add(event)


def tell_cut_entry(journal: Journal, ports: EntryPorts) -> None:
    """At the start of the box: an entry without an end was cut off, and a supply that was left on has nobody
    who watches over it. It is switched off, or told as perhaps still on.
    """
    last = journal.events.latest("entry")
    if last is None:
        return
    job_id, access = last["job_id"], last["access"]
    if last.get("key") in LEFT_ON:
        problems = _switched_off(ports)
        if not problems:
            journal.events.tell(entry_event(job_id, access, EntryOutcome.CUT, phrase("entry.kept_off")))
            return
        told = phrase("entry.kept_on", problems=problems)
        journal.events.tell(entry_event(job_id, access, EntryOutcome.UNSAFE, told))
        journal.events.tell(
            AlarmEvent(job_id, "LINES_NOT_SAFE", "lines_not_safe", True, {"problems": problems})
        )
    elif last.get("outcome") not in (None, *OVER):
        behind = Phrase.read({**last, "text": last["what"]})
        what = phrase("entry.cut", behind=behind)
        journal.events.tell(entry_event(job_id, access, EntryOutcome.CUT, what))


def _switched_off(ports: EntryPorts) -> tuple[Phrase, ...]:
    """Why the supply may still be on."""
    try:
        ports.supply()
    except PortMissingError as missing:
        return (phrase("lines.no_supply", technical_text=missing.what),)
    return tuple(make_safe(ports, frozenset(), supply=True))
