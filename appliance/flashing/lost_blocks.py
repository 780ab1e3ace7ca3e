"""Blocks of a write that no sealed copy tells whole: proven through the ECU's application, or it is not over.

Many a bootloader reads nothing, so that it cannot be asked whether the ECU still holds what the disk lost.
Where all else is proven and nothing else could be written, the ECU is told to run its application, which can.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.contract.catalogue import Phrase
from appliance.contract.events import Phase
from appliance.flashing import history
from appliance.flashing.context import JobContext
from appliance.flashing.errors import SourceLostError, TargetDamagedError, target_lost
from appliance.flashing.gaps import Target, filled, unknown
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import Step, StepRecord
from appliance.flashing.retries import open_persistently
from appliance.flashing.verifying import differing
from appliance.protocols.access import Block, Purpose
from appliance.vault.contents import wipe


class LostBlocks:
    """What one write was to make of these blocks is not known; what the ECU holds there may be just that."""

    def __init__(
        self,
        job: JobContext,
        blocks: Sequence[Block],
        target: Target,
        steps: Sequence[StepRecord],
        other: Phrase | None = None,
        hope: Phrase | None = None,
    ) -> None:
        """`blocks` are all that the write has to make equal; `other` is the source that is whole, if any,
        `hope` one that may be.
        """
        self._job = job
        self._blocks = unknown(blocks, target.image)
        gaps = tuple(gap for gap in target.gaps if any(gap.place.overlaps(one.place) for one in self._blocks))
        self._target = Target(target.image, gaps)
        self._steps = steps
        self._other = other
        self._hope = hope

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._blocks)

    def error(self, *, runs: bool = False) -> TargetDamagedError | SourceLostError:
        """They are neither written nor proven; `runs` is for an ECU whose application runs with them."""
        ranges = [str(one) for one in self._blocks]
        return target_lost(self._job.id, ranges, self._other, self._hope, runs=runs)

    def refuse_unless_provable(self) -> None:
        """Before the ECU is told to run its application. Raises TargetDamagedError, SourceLostError."""
        if self._blocks and not (self._other is None and self._have_witnesses and self._may_run):
            raise self.error()

    @property
    def _have_witnesses(self) -> bool:
        return all(gap.sha256 is not None for gap in self._target.gaps)

    @property
    def _may_run(self) -> bool:
        """Whether the ECU judges itself before it runs its application, or memory is whole by the journal.

        In the second case the blocks are as they were when the application still ran, or as this write left
        them, and an ECU that stays in its bootloader all the same can be reached there.
        """
        access = self._job.access_definition
        if access.judges_itself:
            return True
        known = not any(step.step is Step.RESCUE for step in self._steps)
        unfinished = history.unfinished(self._steps)
        whole = known and not any(one.place.at in unfinished for one in self._blocks)
        return whole and access.recovery.recoverability == "bootloader"

    async def prove(self) -> None:
        """Through the application, which runs: by the sealed hashes, then byte by byte with the blocks' rest.

        Raises TargetDamagedError, SourceLostError, AccessError, EcuChangedError.
        """
        if not self._blocks:
            return
        await open_persistently(self._job, Purpose.READ)
        found = (await filled(self._job, self._target, Purpose.READ)).image
        try:
            if unknown(self._blocks, found) or await self._strange(found):
                raise self.error(runs=True)
        finally:
            wipe(*(data for data in found.spans.values() if isinstance(data, bytearray)))
        self._job.note("lost_blocks_proven", blocks=len(self._blocks))

    async def _strange(self, found: MemoryImage) -> list[Block]:
        return await differing(self._job, self._blocks, found, Phase.VERIFY, Purpose.READ, read=True)
