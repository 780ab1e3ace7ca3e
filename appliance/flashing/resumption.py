"""What the plan of a recovery is made from: a write that the journal knows, and the wire's word."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.contract.catalogue import Phrase
from appliance.contract.gates import GateVerdict
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from appliance.flashing.gaps import Target, unknown
from appliance.flashing.journal import FlashRecord
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import Block


@dataclass(frozen=True, slots=True)
class Resumption:
    """An interrupted write on its way to its end, or turned back to the original."""

    flash: FlashRecord
    order: WriteOrder
    definition: Definition
    access: AccessDefinition
    known: Target = field(repr=False)
    """What memory is to become, as far as any sealed copy, or the ECU itself, still tells."""
    touched: bool
    """Whether the write may have erased something."""
    on_the_wire: tuple[GateVerdict, ...]
    """Of the gates that ask car and box (`gates/resuming.py`)."""
    other: Phrase | None = None
    """What a person can do instead, where the target is damaged and another is whole."""
    hope: Phrase | None = None
    """What else a person may try, where no other is known to be whole: the ECU may still hold the rest."""

    @property
    def as_begun(self) -> bool:
        """Whether it goes on with what it was begun for, in whatever words an earlier build put it."""
        return WriteOrder.from_json(self.flash.write_order) == self.order

    @property
    def lost(self) -> list[Block]:
        """Blocks to be made equal to something that nothing tells wholly."""
        return unknown(self.order.blocks, self.known.image)
