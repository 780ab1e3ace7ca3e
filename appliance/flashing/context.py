"""What every operation of the heart is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.contract.catalogue import Field
from appliance.contract.events import NoteEvent, Phase
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from appliance.flashing.copies import Copies
from appliance.flashing.journal import Journal
from appliance.flashing.power import PowerGuard
from appliance.flashing.progress import Progress
from appliance.flashing.same_ecu import Acquaintance
from appliance.protocols.access import EcuAccess
from appliance.vault.store import BlobStore


@dataclass(frozen=True, slots=True)
class JobContext:
    """One job on one ECU: its definition, the way to reach it, and the box's own organs."""

    id: str
    definition: Definition
    access_definition: AccessDefinition
    """The one of the definition's accesses that the job takes."""
    access: EcuAccess
    journal: Journal
    blobs: BlobStore
    copies: Copies
    """Of what was read and what is to be written, sealed on the disk."""
    power: PowerGuard
    now: Callable[[], float]
    car: Acquaintance = field(default_factory=Acquaintance)
    """Whether the ECU on the wire is the job's own, as this operation found."""

    def note(self, key: str, **fields: Field) -> None:
        """Tell the listeners something worth knowing, in the words of `contract/note_texts.py`."""
        self.journal.events.tell(NoteEvent(self.id, key, fields))

    def progress(self, phase: Phase, total_bytes: int) -> Progress:
        """A fresh counter for a phase."""
        meter = self.access.memory.meter
        return Progress(self.journal.events.tell, self.id, phase, total_bytes, meter, self.power)
