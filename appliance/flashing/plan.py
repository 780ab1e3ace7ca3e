"""The plan: immutable, and impossible to make without passing every gate that needs no wire."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.contract.catalogue import Phrase
from appliance.contract.gates import GateVerdict
from appliance.flashing.erase_groups import EraseGroups
from appliance.flashing.errors import GatesRefusedError
from appliance.flashing.gaps import Target
from appliance.flashing.gates.judging import check_request
from appliance.flashing.gates.request import WriteRequest, target_of
from appliance.flashing.gates.resuming import check_resumption
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.resumption import Resumption
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import Block


@dataclass(frozen=True)
class FlashPlan:
    """All that the write loop takes: made from a request, or from an interrupted write, by its gates alone.

    Raises GatesRefusedError with every gate that did not pass; one of an interrupted write that nobody has
    asked the wire for did not.
    """

    request: WriteRequest | Resumption = field(repr=False)
    gates: tuple[GateVerdict, ...] = field(init=False)
    order: WriteOrder = field(init=False)
    known: Target = field(init=False, repr=False)
    """What memory is to become; of an interrupted write as far as it is known."""

    def __post_init__(self) -> None:
        asked = self.request
        if isinstance(asked, Resumption):
            gates, order, known = check_resumption(asked), asked.order, asked.known
        else:
            gates, target = tuple(check_request(asked)), target_of(asked)
            if target is None or asked.original is None:
                raise GatesRefusedError(gates)
            order, known = _order(asked, target), Target(target)
        if not all(gate.passed for gate in gates):
            raise GatesRefusedError(gates)
        object.__setattr__(self, "gates", gates)
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "known", known)

    @property
    def fresh(self) -> bool:
        """Whether nothing of it was begun before."""
        return isinstance(self.request, WriteRequest)

    @property
    def target(self) -> MemoryImage:
        """Memory as it should be afterwards, as far as it is known."""
        return self.known.image

    @property
    def before(self) -> MemoryImage | None:
        """Memory as it was read, where nothing was written yet."""
        return self.request.original if isinstance(self.request, WriteRequest) else None

    @property
    def other(self) -> Phrase | None:
        """What a person can do instead, where the target is damaged and another is whole."""
        return None if isinstance(self.request, WriteRequest) else self.request.other

    @property
    def hope(self) -> Phrase | None:
        """What else a person may try, where no other is known to be whole."""
        return None if isinstance(self.request, WriteRequest) else self.request.hope

    def refuse_changed_target(self) -> None:
        """Raises PitboxError TARGET_CHANGED when the bytes at hand are not those that were planned with."""
        if not self.known.gaps:
            self.order.check_target(self.target.sha256())


def _order(request: WriteRequest, target: MemoryImage) -> WriteOrder:
    writable = blocks_of(request.definition, request.access, writable_only=True)
    pieces = (request.tuned or target).pieces
    named = [block for block in writable if any(place.contains(block.place) for place, _ in pieces)]
    groups = EraseGroups(request.definition, request.access)
    chosen = groups.widened(groups.finished(named))
    return WriteOrder(
        kind="tuned" if request.tuned is not None else "original",
        definition_id=request.definition.id,
        method=request.method,
        original_file=request.original_file or "",
        tuned_file=request.tuned_file,
        blocks=chosen,
        guarded=_guarded(request, target, chosen),
        target_sha256=target.sha256(),
    )


def _guarded(request: WriteRequest, target: MemoryImage, chosen: tuple[Block, ...]) -> tuple[Block, ...]:
    """Blocks that the write must leave alone and that can be proven: they are verified with the rest."""
    reached = blocks_of(request.definition, request.access)
    return tuple(block for block in reached if block not in chosen and target.covers(block.place))
