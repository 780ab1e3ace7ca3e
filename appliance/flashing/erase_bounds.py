"""How often a write has erased: counted in the journal over every recovery of it, and bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from appliance.contract.places import Start
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from appliance.flashing.erase_groups import EraseGroups
from appliance.flashing.errors import EraseBoundError
from appliance.flashing.image import blocks_of
from appliance.flashing.journal import Step, StepRecord
from appliance.protocols.access import Block

_TIMES_OVER = 4
"""All writable memory may be erased so often in one write, where the access sets no other bound."""


class Wear:
    """The erases of one write since it began, or since a person allowed as many again."""

    def __init__(
        self, job_id: str, definition: Definition, access: AccessDefinition, steps: Sequence[StepRecord]
    ) -> None:
        self._job_id = job_id
        self._advice = access.recovery.advice
        self._most_per_block = access.erase_bounds.most_per_block
        self._most_in_all = access.erase_bounds.most_in_all or _default_bound(definition, access)
        self._erases = _erases(steps)

    def another(self, block: Block) -> None:
        """Count an erase that is about to be asked for. Raises EraseBoundError instead of one too many."""
        erases, in_all = self._erases[block.place.at], self._erases.total()
        if erases >= self._most_per_block:
            raise EraseBoundError(self._job_id, block, erases, self._advice)
        if in_all >= self._most_in_all:
            raise EraseBoundError(self._job_id, None, in_all, self._advice)
        self._erases[block.place.at] += 1


def _default_bound(definition: Definition, access: AccessDefinition) -> int:
    """A block costs as many erases as blocks go with it."""
    groups = EraseGroups(definition, access)
    blocks = blocks_of(definition, access, writable_only=True)
    erases = [len(groups.widened([block])) for block in blocks]
    return _TIMES_OVER * sum(erases) + access.erase_bounds.most_per_block * max(erases, default=1)


def _erases(steps: Sequence[StepRecord]) -> Counter[Start | None]:
    erases: Counter[Start | None] = Counter()
    for step in steps:
        if step.step is Step.ERASES_ALLOWED:
            erases.clear()
        elif step.step is Step.ERASE_INTENT:
            erases[step.block] += 1
    return erases
