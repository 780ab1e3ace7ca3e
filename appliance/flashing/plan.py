"""The plan: immutable, and impossible to make without passing every gate that needs no wire."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.contract.gates import GateVerdict
from appliance.flashing.erase_groups import EraseGroups
from appliance.flashing.errors import GatesRefusedError
from appliance.flashing.gates.judging import check_request
from appliance.flashing.gates.request import WriteRequest, target_of
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import Block


@dataclass(frozen=True)
class FlashPlan:
    """Made from a request alone; raises GatesRefusedError with every gate that did not pass."""

    request: WriteRequest = field(repr=False)
    gates: tuple[GateVerdict, ...] = field(init=False)
    order: WriteOrder = field(init=False)
    target: MemoryImage = field(init=False, repr=False)

    def __post_init__(self) -> None:
        gates = check_request(self.request)
        target = target_of(self.request)
        if target is None or not all(gate.passed for gate in gates):
            raise GatesRefusedError(gates)
        object.__setattr__(self, "gates", tuple(gates))
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "order", _order(self.request, target))


def _order(request: WriteRequest, target: MemoryImage) -> WriteOrder:
    writable = blocks_of(request.definition, request.access, writable_only=True)
    pieces = (request.tuned or target).pieces
    named = [block for block in writable if any(place.contains(block.place) for place, _ in pieces)]
    chosen = EraseGroups(request.definition, request.access).widened(named)
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
